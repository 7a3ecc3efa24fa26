/** A line of the last minutes, against a ceiling. */
import React from 'react';

import { sparkline } from '../history';

const WIDTH = 60;
const HEIGHT = 16;

/** *label* says in words what the line shows: nothing is told by the picture alone. */
export function Sparkline(props: {
  name: string;
  text: string;
  values: readonly number[];
  ceiling: number;
  /** The ceiling is a limit: close to it the line warns. */
  limited: boolean;
}): React.JSX.Element {
  const { ceiling, values } = props;
  const last = values[values.length - 1] ?? 0;
  const points = sparkline(values, ceiling, WIDTH, HEIGHT);
  return (
    <div className="jp-Containers-figure" data-near={props.limited && last > 0.85 * ceiling}>
      <span className="jp-Containers-figure-name">{props.name}</span>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {props.limited && <line x1="0" x2={WIDTH} y1="0.5" y2="0.5" className="jp-Containers-limit" />}
        <polyline points={points} />
      </svg>
      <span className="jp-Containers-figure-text">{props.text}</span>
    </div>
  );
}
