/** What the kernel picker offers: environments with their state first, then all other kernels as JupyterLab has them. */
import { ISessionContext, SessionContextDialogs } from '@jupyterlab/apputils';
import type { ITranslator } from '@jupyterlab/translation';

import { sorted, summary, titleOf } from './environments';
import type { IEnvironment } from './rest';
import { kernelspecName } from './tokens';

export type KernelOptions = SessionContextDialogs.IKernelOptions;

/** JupyterLab's *options* with those of environments in a group of their own. */
export function groupOptions(
  options: KernelOptions,
  environments: ReadonlyMap<string, IEnvironment>,
  translator: ITranslator
): KernelOptions {
  const trans = translator.load('jupyter_containers');
  const byKernel = new Map(sorted(environments).map(item => [kernelspecName(item.name), item]));
  const offered = new Map<string, { value: string; selected?: boolean }>();
  const groups = options.groups.map(group => ({
    ...group,
    options: group.options.filter(option => {
      const name = startedBy(option.value);
      if (name === null || !byKernel.has(name)) {
        return true;
      }
      offered.set(name, option);
      return false;
    })
  }));
  const own = [...byKernel]
    .filter(([name]) => offered.has(name))
    .map(([name, item]) => ({
      ...offered.get(name)!,
      text: `${titleOf(item)} — ${summary(item, trans)}`,
      title: item.reason || titleOf(item)
    }));
  const first = own.length > 0 ? [{ label: trans.__('Start in an Environment'), options: own }] : [];
  return { ...options, groups: [...first, ...groups.filter(group => group.options.length > 0)] };
}

/** The kernelspec that an option starts; null: it connects to a kernel, or to none. */
function startedBy(value: string): string | null {
  const model = JSON.parse(value) as { name?: string } | null;
  return model?.name ?? null;
}

/** The options for *context*. */
export function kernelOptions(
  context: ISessionContext,
  environments: ReadonlyMap<string, IEnvironment>,
  translator: ITranslator
): KernelOptions {
  return groupOptions(SessionContextDialogs.kernelOptions(context, translator), environments, translator);
}
