/** A log as a tab: what is being done at its top, the lines below, and at the end what came of it. */
import { ReactWidget } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Message } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';
import React from 'react';

import type { ApiError } from '../api';
import { ILogSink, LogFollower, LogSubject } from '../follow';
import { isActive } from '../jobs';
import type { ILogLine } from '../log';
import type { IContainersModel } from '../model';
import type { IBuild, IContainer } from '../rest';
import { LogLines } from './loglines';
import { IStep, Steps, Trouble } from './messages';
import { Progress } from './row';

export interface ILogViewOptions {
  model: IContainersModel;
  subject: LogSubject;
  trans: TranslationBundle;
  /** What can be done once a build has ended. */
  stepsAfter: (build: IBuild) => IStep[];
}

export class LogView extends Panel implements ILogSink {
  constructor(private readonly _options: ILogViewOptions) {
    super();
    const { model, subject, trans } = _options;
    this.addClass('jp-Containers-log');
    this.lines = new LogLines(trans.__('Log'));
    this._head = new Head(() => this._renderHead());
    this.addWidget(this._head);
    this.addWidget(this.lines);
    this._follower = new LogFollower(model.api, subject, this, trans);
    model.changed.connect(this._onChanged);
  }

  readonly lines: LogLines;

  get subject(): LogSubject {
    return this._options.subject;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._options.model.changed.disconnect(this._onChanged);
      this._follower.dispose();
      super.dispose();
    }
  }

  // The sink of the follower

  add(line: ILogLine): void {
    this._said = true;
    this.lines.add(line);
  }

  setStage(stage: string): void {
    if (stage !== this._stage) {
      this._stage = stage;
      this._head.update();
    }
  }

  setLost(error: ApiError | null): void {
    if (error !== this._lost) {
      this._lost = error;
      this._head.update();
    }
  }

  end(subject: IBuild | IContainer | null, error: ApiError | null): void {
    const { kind } = this.subject;
    if (!error && !this._said && kind === 'build') {
      const { trans } = this._options;
      this.lines.add({
        kind: 'note',
        text: trans.__('There was nothing to do: the image has what the spec asks for.')
      });
    }
    this._ended = true;
    this._end = subject;
    this._error = error;
    this._lost = null;
    this._head.update();
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._follower.resume();
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    if (this.isVisible) {
      this._follower.resume();
    }
  }

  protected onBeforeHide(msg: Message): void {
    super.onBeforeHide(msg);
    this._follower.suspend();
  }

  private readonly _onChanged = () => this._head.update();

  private _renderHead(): React.JSX.Element {
    const { model, subject, stepsAfter, trans } = this._options;
    if (this._error) {
      return <Trouble message={this._error.message} hint={this._error.hint} />;
    }
    const known = subject.kind === 'build' ? model.builds.get(subject.id) : undefined;
    const build = subject.kind === 'build' ? ((this._end as IBuild | null) ?? known) : undefined;
    return (
      <>
        {this._lost && (
          <Trouble
            mild
            message={trans.__('The server does not answer.')}
            hint={trans.__('The log goes on where it was once the server is back.')}
          />
        )}
        {build && (
          <BuildHead
            build={build}
            stage={this._ended ? '' : this._stage}
            steps={stepsAfter(build)}
            trans={trans}
          />
        )}
        {subject.kind === 'container' && this._ended && (
          <p className="jp-Containers-log-state" role="status">
            {endOfContainer(this._end as IContainer | null, trans)}
          </p>
        )}
      </>
    );
  }

  private readonly _head: Head;
  private readonly _follower: LogFollower;
  private _said = false;
  private _stage = '';
  private _lost: ApiError | null = null;
  private _ended = false;
  private _end: IBuild | IContainer | null = null;
  private _error: ApiError | null = null;
}

class Head extends ReactWidget {
  constructor(private readonly _render: () => React.JSX.Element) {
    super();
    this.addClass('jp-Containers-log-head');
  }

  protected render(): React.JSX.Element {
    return this._render();
  }
}

export function BuildHead(props: {
  build: IBuild;
  stage: string;
  steps: readonly IStep[];
  trans: TranslationBundle;
}): React.JSX.Element {
  const { build, stage, steps, trans } = props;
  const active = isActive(build);
  if (build.state === 'failed' || build.state === 'interrupted') {
    return (
      <Trouble
        message={buildState(build, trans)}
        hint={[build.error, build.hint].filter(part => part).join(' — ')}
        steps={steps}
      />
    );
  }
  return (
    <>
      <p className="jp-Containers-log-state" role="status">
        <strong>{buildState(build, trans)}</strong>
        {active && stage && <span> · {stage}</span>}
        {!active && build.error && <span> · {build.error}</span>}
      </p>
      {active && (
        <Progress
          percent={build.state === 'running' ? build.percent : null}
          label={buildState(build, trans)}
        />
      )}
      {!active && <Steps steps={steps} />}
    </>
  );
}

export function buildState(build: IBuild, trans: TranslationBundle): string {
  switch (build.state) {
    case 'queued':
      return trans.__('%1 waits for its turn', build.environment);
    case 'running':
      return trans.__('%1 is being built', build.environment);
    case 'done':
      return trans.__('%1 is ready', build.environment);
    case 'failed':
      return trans.__('The build of %1 failed', build.environment);
    case 'cancelled':
      return trans.__('The build of %1 was cancelled', build.environment);
    case 'interrupted':
      return trans.__('The build of %1 was interrupted: what built it has ended', build.environment);
  }
}

function endOfContainer(container: IContainer | null, trans: TranslationBundle): string {
  if (container === null) {
    return trans.__('The container is gone.');
  }
  return container.cause
    ? trans.__('Ended: %1', container.cause)
    : trans.__('Ended with status %1', container.exit_code ?? '?');
}

/** The log that *widget*, a tab, shows; null: it is another kind of tab. */
export function logOf(widget: Widget | null): LogView | null {
  const content = widget && 'content' in widget ? (widget as { content: unknown }).content : null;
  return content instanceof LogView ? content : null;
}
