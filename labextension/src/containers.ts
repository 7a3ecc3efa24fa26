/** Decisions about running containers: what is said of them, what can be done with them. */
import { PathExt } from '@jupyterlab/coreutils';
import type { Kernel, Session } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import { formatDuration, formatPercent, formatSize } from './format';
import type { IContainersModel } from './model';
import type { IContainer, ISample } from './rest';
import { CommandIDs, Labels } from './tokens';

/** What a running container is, for people. */
export interface IRunning {
  container: IContainer;
  /** A notebook's name, or the command. */
  title: string;
  /** The whole path, or the whole command. */
  caption: string;
  environment: string;
  /** The session of this server that it belongs to: null for commands, and for kernels of other programs. */
  session: Session.IModel | null;
}

/** Running containers with the sessions that they serve, newest first. */
export function describeRunning(
  containers: ReadonlyMap<string, IContainer>,
  sessions: Iterable<Session.IModel>,
  trans: TranslationBundle
): IRunning[] {
  const byKernel = new Map<string, Session.IModel>();
  for (const session of sessions) {
    if (session.kernel) {
      byKernel.set(session.kernel.id, session);
    }
  }
  return [...containers.values()]
    .filter(container => container.status === 'running' || container.status === 'paused')
    .sort((a, b) => b.created_at - a.created_at)
    .map(container => {
      const session = byKernel.get(container.labels[Labels.kernel] ?? '') ?? null;
      const path = session?.path || container.labels[Labels.notebook] || '';
      const command = container.argv.join(' ');
      return {
        container,
        title: path ? PathExt.basename(path) : container.kind === 'kernel' ? trans.__('Kernel') : command,
        caption: path || command,
        environment: container.labels[Labels.environment] || container.image_name || container.name,
        session
      };
    });
}

/** The container of a kernel of this server. */
export function findByKernelId(
  containers: Iterable<IContainer>,
  kernel: Kernel.IModel | { id: string }
): IContainer | undefined {
  return [...containers].find(item => item.labels[Labels.kernel] === kernel.id && item.status !== 'exited');
}

/** The same, asked of the server: after a restart the page knows the container before it until it is told of the new one. */
export async function containerOf(
  model: IContainersModel,
  kernelId: string
): Promise<IContainer | undefined> {
  return findByKernelId(await model.api.containers(), { id: kernelId });
}

/** `small · 12 min · kernel` */
export function summary(running: IRunning, now: number, trans: TranslationBundle): string {
  const { container, environment } = running;
  const kind = container.kind === 'kernel' ? trans.__('kernel') : trans.__('command');
  return [
    environment,
    formatDuration(now - (container.started_at ?? container.created_at), trans),
    kind
  ].join(' · ');
}

export function memoryText(sample: ISample, trans: TranslationBundle): string {
  return sample.memory_limit === null
    ? formatSize(sample.memory)
    : trans.__('%1 of %2', formatSize(sample.memory), formatSize(sample.memory_limit));
}

export function cpuText(sample: ISample): string {
  return formatPercent(sample.cpu_percent);
}

/** What a sparkline has at its top: the limit, else a little more than the most that was used. */
export function ceiling(values: readonly number[], limit: number | null): number {
  return limit ?? Math.max(1, ...values) * 1.25;
}

/** Percent of CPU that the container may use, 100 for each; null: no limit. */
export function cpuLimit(container: IContainer): number | null {
  const limit = container.limits.find(item => item.limit === 'cpus');
  return limit ? limit.asked * 100 : null;
}

/** All commands that make sense for a running container, in groups, as its menu has them. */
export function commandsFor(running: IRunning): string[][] {
  const kernel = running.session !== null;
  return [
    kernel ? [CommandIDs.openNotebook, CommandIDs.restartContainer] : [],
    [CommandIDs.stopContainer],
    kernel && running.container.labels[Labels.environment] ? [CommandIDs.addPackage] : [],
    [CommandIDs.openTerminal, CommandIDs.showContainerLog],
    [CommandIDs.commitContainer]
  ].filter(group => group.length > 0);
}
