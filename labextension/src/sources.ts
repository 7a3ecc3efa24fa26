/** What a spec can be drafted from. */
import { PathExt } from '@jupyterlab/coreutils';
import type { Contents } from '@jupyterlab/services';

/** Files of other tools that a draft can be made of (`spec/detect.py` reads them). */
const FILES =
  /^(requirements.*\.(txt|in)|environment\.ya?ml|pyproject\.toml|pylock(\..+)?\.toml|uv\.lock|apt\.txt|setup\.(py|cfg)|Pipfile|(.+\.)?Dockerfile(\..+)?)$/i;

export type SourceKind = 'notebook' | 'file';

/** Which kind of source a file of this name is; null: none. */
export function sourceKind(path: string): SourceKind | null {
  const name = PathExt.basename(path);
  if (PathExt.extname(name) === '.ipynb') {
    return 'notebook';
  }
  return FILES.test(name) ? 'file' : null;
}

/** The sources among the items of a folder, files of tools first. */
export function findSources(items: readonly Contents.IModel[]): { kind: SourceKind; path: string }[] {
  return items
    .filter(item => item.type !== 'directory')
    .flatMap(item => {
      const kind = sourceKind(item.path);
      return kind ? [{ kind, path: item.path }] : [];
    })
    .sort((a, b) => a.kind.localeCompare(b.kind) || a.path.localeCompare(b.path));
}
