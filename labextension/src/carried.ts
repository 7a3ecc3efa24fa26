/** Notebooks that carry their environment: what stands in their metadata, and what is to be done about it. */
import { IMetadataHolder, readOurs, writeOurs } from './metadata';
import type { ICarried, IChecked } from './rest';
import { kernelspecName } from './tokens';

/** What is the environment's of what this program keeps in a notebook's metadata (metadata.ts). */
const FIELDS: readonly (keyof ICarried)[] = ['version', 'name', 'spec', 'lock', 'digest', 'references'];

/** What a notebook's metadata, a stranger's, says that it carries: enough to speak of it. Null: nothing. */
export interface IBrought {
  name: string;
  digest: string;
  /** Characters of spec and lock. */
  size: number;
}

export function broughtBy(model: IMetadataHolder | null): IBrought | null {
  const ours = model ? readOurs(model) : {};
  if (!['spec', 'lock', 'digest'].some(key => key in ours)) {
    return null;
  }
  const text = (key: keyof ICarried): string => {
    const found = ours[key];
    return typeof found === 'string' ? found : '';
  };
  return { name: text('name'), digest: text('digest'), size: text('spec').length + text('lock').length };
}

/** Have a notebook carry *carried*, or, where that is null, nothing any more. */
export function writeCarried(model: IMetadataHolder, carried: ICarried | null): void {
  writeOurs(model, Object.fromEntries(FIELDS.map(field => [field, carried?.[field] ?? null])));
}

/**
 * The kernel that a notebook is to have whose environment is here; null: the one that it asks for itself. It may know its
 * environment by a name that is another one's here, or ask for a kernel that this server does not have.
 */
export function kernelOf(
  checked: IChecked,
  brought: IBrought,
  wanted: string,
  isKnown: (kernel: string) => boolean
): string | null {
  const kernel = kernelspecName(checked.environment);
  const own = wanted.toLowerCase() === kernelspecName(brought.name);
  return wanted !== kernel && (own || !isKnown(wanted)) ? kernel : null;
}

/** Notebooks whose environment the user did not want: they are not asked about again in this tab of the browser. */
export class Refusals {
  constructor(private readonly _storage: Pick<Storage, 'getItem' | 'setItem'>) {}

  add(path: string, digest: string): void {
    this._write([...this._read(), keyOf(path, digest)]);
  }

  /** The user wants to be asked after all. */
  remove(path: string, digest: string): void {
    this._write(this._read().filter(key => key !== keyOf(path, digest)));
  }

  has(path: string, digest: string): boolean {
    return this._read().includes(keyOf(path, digest));
  }

  private _read(): string[] {
    try {
      const found: unknown = JSON.parse(this._storage.getItem(REFUSED) ?? '[]');
      return Array.isArray(found) ? found.filter(key => typeof key === 'string') : [];
    } catch {
      return []; // somebody else's
    }
  }

  private _write(keys: string[]): void {
    this._storage.setItem(REFUSED, JSON.stringify(keys.slice(-MOST)));
  }
}

const REFUSED = 'jupyter-containers:refused';
const MOST = 200;

function keyOf(path: string, digest: string): string {
  return `${digest} ${path}`;
}

/** A stranger's text with what can't be seen, or changes the order of what can, in hexadecimal. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, found => `\\u{${found.codePointAt(0)!.toString(16)}}`);
}
