/** What stands above the cells of a notebook: what it waits for, why its kernel died, what it asks for. */
import { ReactWidget } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import React, { useEffect, useRef } from 'react';

import { IStep, Steps, Trouble } from './messages';
import { Progress } from './row';

/** One thing that is said there. All of it is text. */
export interface INotice {
  /** Something goes on, is to be decided, or went wrong. */
  tone: 'busy' | 'notice' | 'bad';
  /** What those who don't see it hear too. */
  message: string;
  /** What changes all the time, and would be too much to hear. */
  stage?: string;
  /** Percent; null: its end can't be told. */
  percent?: number | null;
  /** The last lines of what failed. */
  output?: string;
  /** Each thing that is asked for. */
  items?: readonly string[];
  hint?: string;
  steps: readonly IStep[];
}

export class Banner extends ReactWidget {
  constructor(private readonly _trans: TranslationBundle) {
    super();
    this.addClass('jp-Containers-banner');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', _trans.__('Messages about the environment of this notebook'));
    this.hide();
  }

  /** Have *notice* stand under *key*; null takes it away. */
  put(key: string, notice: INotice | null): void {
    if (notice === null) {
      if (!this._notices.delete(key)) {
        return;
      }
    } else {
      this._notices.set(key, notice);
    }
    this.setHidden(this._notices.size === 0);
    this.update();
  }

  protected render(): React.JSX.Element {
    return <Notices notices={this._notices} onHeight={this._fit} trans={this._trans} />;
  }

  /** The layout that this stands in goes by what its parts say of their height, not by what they hold. */
  private readonly _fit = (height: number) => {
    const minHeight = `${Math.ceil(height)}px`;
    if (this.node.style.minHeight !== minHeight && !this.isDisposed) {
      this.node.style.minHeight = minHeight;
      if (this.parent) {
        MessageLoop.postMessage(this.parent, Widget.Msg.FitRequest);
      }
    }
  };

  private readonly _notices = new Map<string, INotice>();
}

export function Notices(props: {
  notices: ReadonlyMap<string, INotice>;
  onHeight: (height: number) => void;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { notices, onHeight } = props;
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (typeof ResizeObserver === 'undefined') {
      return;
    }
    const observer = new ResizeObserver(() => onHeight(ref.current?.offsetHeight ?? 0));
    observer.observe(ref.current!);
    return () => observer.disconnect();
  }, [onHeight]);
  const shown = [...notices];
  return (
    <div ref={ref} className="jp-Containers-notices">
      {/* Always there, so that a change in it is heard. What went wrong is an alert of its own. */}
      <div role="status" className="jp-Containers-heard">
        {shown
          .filter(([, notice]) => notice.tone !== 'bad')
          .map(([, notice]) => notice.message)
          .join('\n')}
      </div>
      {shown.map(([key, notice]) => (
        <div key={key} data-notice={key} data-tone={notice.tone} className="jp-Containers-notice">
          {notice.tone === 'bad' ? <Failed notice={notice} /> : <Told notice={notice} />}
        </div>
      ))}
    </div>
  );
}

function Failed(props: { notice: INotice }): React.JSX.Element {
  const { hint = '', message, output, steps } = props.notice;
  return (
    <Trouble message={message} hint={hint} steps={steps}>
      {output && (
        <pre className="jp-Containers-output" tabIndex={0}>
          {output}
        </pre>
      )}
    </Trouble>
  );
}

function Told(props: { notice: INotice }): React.JSX.Element {
  const { hint, items = [], message, percent, stage, steps } = props.notice;
  return (
    <>
      <p>
        <span className="jp-Containers-notice-message">{message}</span>
        {stage && <span className="jp-Containers-stage"> {stage}</span>}
      </p>
      {percent !== undefined && <Progress percent={percent} label={message} />}
      {items.length > 0 && (
        <ul>
          {items.map(item => (
            <li key={item}>{item}</li>
          ))}
        </ul>
      )}
      {hint && <p className="jp-Containers-hint">{hint}</p>}
      <Steps steps={steps} />
    </>
  );
}
