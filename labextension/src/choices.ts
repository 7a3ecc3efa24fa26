/**
 * Notebooks that are about to be opened because the user has chosen their environment just now. In JupyterLab they open in
 * the same page; in Notebook 7 each has a page of its own, so what was chosen waits where all pages of a server see it.
 */
import { cleanLimits } from './limits';
import type { ILimitsChoice } from './rest';

/** Milliseconds after which a choice that no page has taken is none any more. */
const LASTS = 60_000;

/** What was chosen with the environment. */
export interface IChosen {
  /** The name of its kernel, which a page of its own is not told of otherwise. */
  kernel: string;
  limits: ILimitsChoice;
}

export class Choices {
  /** *server*: the base URL, for others of the same origin see the same storage. */
  constructor(
    private readonly _storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>,
    private readonly _server: string
  ) {}

  add(path: string, chosen: IChosen): void {
    this._storage.setItem(this._key(path), JSON.stringify({ at: Date.now(), ...chosen }));
  }

  /** What was chosen for the notebook at *path*, once; null: nothing, or too long ago. */
  take(path: string): IChosen | null {
    const text = this._storage.getItem(this._key(path));
    this._storage.removeItem(this._key(path));
    try {
      const { at, kernel, limits } = (JSON.parse(text ?? 'null') ?? {}) as { [key: string]: unknown };
      const age = typeof at === 'number' ? Date.now() - at : Infinity;
      return age >= 0 && age < LASTS && typeof kernel === 'string'
        ? { kernel, limits: cleanLimits(limits) }
        : null;
    } catch {
      return null; // somebody else's
    }
  }

  private _key(path: string): string {
    return `jupyter-containers:chosen:${this._server}:${path}`;
  }
}
