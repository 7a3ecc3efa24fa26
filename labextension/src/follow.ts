/** Follows the log of a build or a container, and goes on where it was after any break. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { IDisposable } from '@lumino/disposable';

import { Api, ApiError, asApiError, IFollowOptions } from './api';
import { ILogLine, lineOf, stageOf } from './log';
import type { IBuild, IBuildEvent, IContainer } from './rest';
import type { ISentEvent } from './sse';

/** Which log: one of the two. */
export type LogSubject = { kind: 'build' | 'container'; id: string };

/** Where the lines go. */
export interface ILogSink {
  add(line: ILogLine): void;
  setStage(stage: string): void;
  /** The connection broke, and is made again by itself; null: it stands. */
  setLost(error: ApiError | null): void;
  /** Nothing more will come. */
  end(subject: IBuild | IContainer | null, error: ApiError | null): void;
}

export class LogFollower implements IDisposable {
  constructor(
    private readonly _api: Api,
    private readonly _subject: LogSubject,
    private readonly _sink: ILogSink,
    private readonly _trans: TranslationBundle
  ) {}

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Follow; does nothing where it does so already, or where the end has come. */
  resume(): void {
    if (this._abort === null && !this._ended && !this._disposed) {
      this._abort = new AbortController();
      void this._run(this._abort.signal);
    }
  }

  /** Let the connection go: a browser has six of them for all its tabs, and a log that nobody sees can wait. */
  suspend(): void {
    this._abort?.abort();
    this._abort = null;
  }

  dispose(): void {
    this._disposed = true;
    this.suspend();
  }

  private async _run(signal: AbortSignal): Promise<void> {
    const onState: IFollowOptions['onState'] = (state, error) =>
      this._sink.setLost(state === 'lost' ? (error ?? asApiError('')) : null);
    try {
      for await (const event of this._events({ signal, onState, lastEventId: this._position })) {
        this._position = event.id || this._position;
        if (event.type === 'end') {
          this._finish(JSON.parse(event.data) as IBuild | IContainer, null);
          return;
        }
        this._take(JSON.parse(event.data) as IBuildEvent);
      }
    } catch (error) {
      if (!signal.aborted) {
        this._finish(null, asApiError(error));
      }
    }
  }

  private _events(options: IFollowOptions): AsyncGenerator<ISentEvent> {
    const { id, kind } = this._subject;
    return kind === 'build' ? this._api.followBuild(id, options) : this._api.followContainer(id, options);
  }

  private _take(event: IBuildEvent): void {
    const stage = stageOf(event, this._trans);
    if (stage !== null) {
      this._sink.setStage(stage);
    }
    const line = lineOf(event, this._trans);
    if (line) {
      this._sink.add(line);
    }
  }

  private _finish(subject: IBuild | IContainer | null, error: ApiError | null): void {
    this._ended = true;
    this._sink.end(subject, error);
  }

  private _abort: AbortController | null = null;
  private _position = '';
  private _ended = false;
  private _disposed = false;
}
