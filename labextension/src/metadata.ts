/** What this program keeps in a notebook's metadata, under one key, through the model that all who edit it share. */
import type { ReadonlyJSONObject, ReadonlyJSONValue } from '@lumino/coreutils';

/** The key of a notebook's metadata that is this program's (kernels/limits.py). */
export const METADATA = 'jupyter_containers';

/** A notebook's model, as far as its metadata go. */
export interface IMetadataHolder {
  getMetadata(key: string): unknown;
  setMetadata(key: string, value: unknown): void;
  deleteMetadata(key: string): void;
}

/** What stands there; a notebook may be anybody's, so of what shape it is must be looked at. */
export function readOurs(model: IMetadataHolder): ReadonlyJSONObject {
  const value = model.getMetadata(METADATA);
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as ReadonlyJSONObject)
    : {};
}

/** Put *values* beside what is there; null takes a key away. */
export function writeOurs(
  model: IMetadataHolder,
  values: { readonly [key: string]: ReadonlyJSONValue }
): void {
  const before = readOurs(model);
  const after = Object.fromEntries(
    Object.entries({ ...before, ...values }).filter(([, value]) => value !== null)
  );
  if (JSON.stringify(before) === JSON.stringify(after)) {
    return; // what is written makes a notebook one that is to be saved
  }
  if (Object.keys(after).length > 0) {
    model.setMetadata(METADATA, after);
  } else {
    model.deleteMetadata(METADATA);
  }
}
