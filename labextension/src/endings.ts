/** Which builds have ended under the user's eyes, and not before the page was there. */
import { isActive } from './jobs';
import type { IContainersModel } from './model';
import type { IBuild } from './rest';

/**
 * Decides whether a build that changed has just ended. One that begins and ends between two looks of the server is never seen
 * to run: it is as new as it is ended. One that was ended before the page was there, and comes into view because a newer one
 * was removed, is not news.
 */
export class BuildEndings {
  constructor(private readonly _model: Pick<IContainersModel, 'builds' | 'complete' | 'changed'>) {
    _model.changed.connect(this._look);
    this._look();
  }

  /** Whether *build*, which was *before* (null: it was not seen), has just ended; true once for each build. */
  hasEnded(build: IBuild, before: IBuild | null): boolean {
    if (isActive(build) || this._told.has(build.id)) {
      return false;
    }
    const isNew = this._since !== null && (build.started_at ?? Infinity) > this._since;
    const ended = before ? isActive(before) : isNew;
    if (ended) {
      this._told.add(build.id);
    }
    return ended;
  }

  /** When the newest build of the first picture was started tells old ones from new ones, by the server's clock alone. */
  private readonly _look = (): void => {
    if (this._model.complete) {
      this._model.changed.disconnect(this._look);
      this._since = Math.max(0, ...[...this._model.builds.values()].map(build => build.started_at ?? 0));
    }
  };

  private readonly _told = new Set<string>();
  private _since: number | null = null;
}
