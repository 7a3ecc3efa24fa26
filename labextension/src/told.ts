/** Waiting for what the page has not been told yet: it has just been loaded. */
import { PromiseDelegate } from '@lumino/coreutils';

import type { IContainersModel } from './model';

/** Milliseconds that anybody waits. */
const PATIENCE = 10_000;

/** Connections over which nothing will be told. */
const MUTE: ReadonlySet<string> = new Set(['absent', 'incompatible', 'refused']);

/** Resolves once *model* knows what there is, or it is clear that it will not be told. */
export async function whenTold(
  model: Pick<IContainersModel, 'changed' | 'complete' | 'connection'>
): Promise<void> {
  const knows = () => model.complete || MUTE.has(model.connection.state);
  if (knows()) {
    return;
  }
  const told = new PromiseDelegate<void>();
  const look = () => void (knows() && told.resolve());
  model.changed.connect(look);
  const timer = setTimeout(() => told.resolve(), PATIENCE);
  await told.promise;
  clearTimeout(timer);
  model.changed.disconnect(look);
}
