/** Jobs: waiting for their end, and what is said of what came of them. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IContainersModel } from './model';
import type { IBuild, IJob, ILockedPackage, IMovedPackage, IPackagesChanged, ITaken } from './rest';

/** Whether a job or a build has not come to its end yet. */
export function isActive(work: Pick<IJob | IBuild, 'state'>): boolean {
  return work.state === 'queued' || work.state === 'running';
}

/**
 * The job *started* at its end; *onChange* is told of it as it goes on. A job that the server does not know any more, since it
 * was started again, has failed.
 */
export function jobEnded(
  model: Pick<IContainersModel, 'jobs' | 'changed'>,
  started: IJob,
  trans: TranslationBundle,
  onChange: (job: IJob) => void = () => undefined
): Promise<IJob> {
  return new Promise(resolve => {
    let last = started;
    let seen = false;
    const look = () => {
      const job = model.jobs.get(started.id);
      if (job === undefined) {
        if (seen) {
          const error = trans.__('The server was started again meanwhile.');
          end({ ...last, state: 'failed', error, hint: trans.__('Do it again.') });
        }
        return; // it has just begun
      }
      seen = true;
      if (job !== last) {
        last = job;
        onChange(job);
      }
      if (!isActive(job)) {
        end(job);
      }
    };
    const end = (job: IJob) => {
      model.changed.disconnect(look);
      resolve(job);
    };
    model.changed.connect(look);
    look();
  });
}

/** What adding or removing packages has come to; null: the job was about something else, or has not come to it. */
export function packagesOf(job: IJob): IPackagesChanged | null {
  return (job.kind === 'add' || job.kind === 'remove') && job.state === 'done'
    ? (job.result as IPackagesChanged | null)
    : null;
}

/** One line about a job that is done. */
export function doneText(job: IJob, trans: TranslationBundle): string {
  const changed = packagesOf(job);
  if (changed) {
    return `${job.title}: ${changesText(changed, trans)}`;
  }
  if (job.kind === 'open' && job.result) {
    return takenText(job.result as ITaken, trans);
  }
  return trans.__('%1: done', job.title);
}

/** `added polars 1.9; changed numpy 1 → 2; after a restart of the kernel: numpy` */
export function changesText(changed: IPackagesChanged, trans: TranslationBundle): string {
  if (!changed.image) {
    return trans.__('written into the spec; the next build has it');
  }
  const parts: string[] = [];
  const tell = (items: string[], text: (list: string) => string) => {
    if (items.length > 0) {
      parts.push(text(listed(items, trans)));
    }
  };
  tell(changed.packages.map(locked), list => trans.__('added %1', list));
  tell(changed.changed.map(moved), list => trans.__('changed %1', list));
  tell(changed.removed.map(locked), list => trans.__('removed %1', list));
  if (parts.length === 0) {
    parts.push(trans.__('nothing had to change'));
  }
  tell(changed.restart, list => trans.__('after a restart of the kernel: %1', list));
  return parts.join('; ');
}

function takenText(taken: ITaken, trans: TranslationBundle): string {
  if (!taken.same) {
    return trans.__(
      '%1 is here. Its packages are the notebook’s, its image is another one',
      taken.environment
    );
  }
  switch (taken.how) {
    case 'present':
      return trans.__('%1 is here', taken.environment);
    case 'pulled':
      return trans.__(
        '%1 is here: pulled, the very image that the notebook was made with',
        taken.environment
      );
    case 'built':
      return trans.__('%1 is here: built, the very image that the notebook was made with', taken.environment);
  }
}

const locked = (item: ILockedPackage): string => (item.version ? `${item.name} ${item.version}` : item.name);
const moved = (item: IMovedPackage): string => `${item.name} ${item.before} → ${item.after}`;

/** The first three, and how many more there are. */
function listed(items: readonly string[], trans: TranslationBundle): string {
  const shown = items.slice(0, 3).join(', ');
  return items.length <= 3 ? shown : trans.__('%1 and %2 more', shown, items.length - 3);
}
