/** Limits that a user chooses for a notebook: told to the server, and remembered in the notebook. */
import type { IMetadataHolder } from './metadata';

import { isEmpty, readLimits, sameLimits, writeLimits } from './limits';
import type { IContainersModel } from './model';
import type { ILimitsChoice } from './rest';

/** Let the next kernels of the notebook at *path* have *limits*. True: they are others than those before. */
export async function chooseLimits(
  model: IContainersModel,
  path: string,
  notebook: IMetadataHolder,
  limits: ILimitsChoice
): Promise<boolean> {
  const before = readLimits(notebook);
  if (!isEmpty(limits) || !isEmpty(before)) {
    await model.api.chooseLimits(path, isEmpty(limits) ? null : limits);
  }
  writeLimits(notebook, limits);
  return !sameLimits(before, limits);
}
