/** The Python packages that a spec's file names: those that can be taken out of it. */
import { PathExt } from '@jupyterlab/coreutils';

import type { SpecDocument, SpecValue } from './rest';

/** The name of a requirement, as PEP 508 has it. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?/;

/** The requirements of the file at *path*: of its *text*, or of the *document* that it is. */
export function requirementsOf(path: string, text: string, document: SpecDocument | null): string[] {
  const found =
    PathExt.extname(path) === '.toml'
      ? [at(document, 'packages', 'pip'), at(document, 'project', 'dependencies')].flatMap(value =>
          Array.isArray(value) ? value : []
        )
      : text.split('\n').map(line => line.replace(/(^|\s)#.*/, '').trim());
  return found.filter((item): item is string => typeof item === 'string' && nameOf(item) !== '');
}

/** `polars` of `polars[excel]>=1; python_version > "3.10"`; '': it has none, as an option (`-r more.txt`) or an address. */
export function nameOf(requirement: string): string {
  const name = NAME.exec(requirement)?.[0] ?? '';
  return /^[:+/]/.test(requirement.slice(name.length)) ? '' : name;
}

function at(document: SpecDocument | null, table: string, key: string): SpecValue | undefined {
  const found = document?.[table];
  return typeof found === 'object' && !Array.isArray(found) ? found[key] : undefined;
}
