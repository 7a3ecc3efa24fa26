/** What stands in a section where there is nothing to list, and where something is wrong. */
import { Button, errorIcon, LabIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { warningIcon } from '../icons';

/** A next step: what is there to do about it. */
export interface IStep {
  label: string;
  run: () => void;
}

export function Empty(props: { text: string; step?: IStep }): React.JSX.Element {
  return (
    <div className="jp-Containers-empty">
      <p>{props.text}</p>
      {props.step && <StepButton step={props.step} />}
    </div>
  );
}

export function Trouble(props: {
  message: string;
  hint: string;
  steps?: readonly IStep[];
  /** It goes on nevertheless. */
  mild?: boolean;
  /** Between the message and the hint. */
  children?: React.ReactNode;
}): React.JSX.Element {
  const icon: LabIcon = props.mild ? warningIcon : errorIcon;
  return (
    <div className={props.mild ? 'jp-Containers-trouble jp-mod-mild' : 'jp-Containers-trouble'} role="alert">
      <icon.react tag="span" className="jp-Containers-trouble-icon" />
      <div>
        <p className="jp-Containers-trouble-message">{props.message}</p>
        {props.children}
        {props.hint && <p>{props.hint}</p>}
        <Steps steps={props.steps ?? []} />
      </div>
    </div>
  );
}

export function Steps(props: { steps: readonly IStep[] }): React.JSX.Element | null {
  if (props.steps.length === 0) {
    return null;
  }
  return (
    <div className="jp-Containers-steps">
      {props.steps.map(step => (
        <StepButton key={step.label} step={step} />
      ))}
    </div>
  );
}

function StepButton(props: { step: IStep }): React.JSX.Element {
  return (
    <Button type="button" className="jp-mod-styled jp-mod-small jp-Containers-step" onClick={props.step.run}>
      {props.step.label}
    </Button>
  );
}

/** Pairs of a word and what belongs to it. */
export function Facts(props: { facts: readonly (readonly [string, React.ReactNode])[] }): React.JSX.Element {
  return (
    <dl className="jp-Containers-facts">
      {props.facts.map(([term, value]) => (
        <React.Fragment key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </React.Fragment>
      ))}
    </dl>
  );
}
