/** Decisions about notebooks that wait for their environment: when they have to, and what is said of it. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { phaseLabel, titleOf } from './environments';
import { formatPercent } from './format';
import type { IBuild, IEnvironment } from './rest';

/** What has to come before a kernel of an environment. */
export type Lack =
  /** Nothing. */
  | 'none'
  /** The user's word, for what its build takes of the host. */
  | 'consent'
  /** The end of the build that is under way. */
  | 'end'
  /** A build. */
  | 'build';

/** When a kernel's start builds (kernels/options.py). */
export type BuildPolicy = 'changed' | 'missing' | 'never';

/** The policy that a kernelspec's metadata, which a user may have written, tell. */
export function policyOf(metadata: unknown): BuildPolicy {
  const { kernel_provisioner: provisioner } = (metadata ?? {}) as {
    kernel_provisioner?: { config?: { build?: unknown } };
  };
  const build = provisioner?.config?.build;
  return build === 'missing' || build === 'never' ? build : 'changed';
}

/** What *environment* lacks before a kernel of it can start. An image without a spec has nothing to build. */
export function lackOf(environment: IEnvironment, policy: BuildPolicy = 'changed'): Lack {
  if (environment.spec_file === '' || policy === 'never') {
    return 'none';
  }
  if (policy === 'missing' && environment.state === 'out of date') {
    return 'none';
  }
  if (environment.state === 'building') {
    return 'end';
  }
  if ((environment.asks ?? []).length > 0) {
    return 'consent';
  }
  return environment.state === 'ready' ? 'none' : 'build';
}

/** How a wait stands. */
export type Wait =
  /** Something else has to be settled before: whoever holds it says what. */
  | { phase: 'held' }
  /** The user has not agreed to the build yet. */
  | { phase: 'consent' }
  | { phase: 'building'; build: string | null }
  | { phase: 'starting' }
  | { phase: 'failed'; error: string; hint: string; build: string | null }
  /** Cancelled, or ended with the program that made it. */
  | { phase: 'stopped'; build: string };

/** How a wait stands once the build that it waits for has ended; null: it has not. */
export function afterBuild(build: IBuild): Wait | null {
  switch (build.state) {
    case 'queued':
    case 'running':
      return null;
    case 'done':
      return { phase: 'starting' };
    case 'failed':
      return { phase: 'failed', error: build.error, hint: build.hint, build: build.id };
    case 'cancelled':
    case 'interrupted':
      return { phase: 'stopped', build: build.id };
  }
}

/** What failed, and the last lines that it put out. */
export interface IFailure {
  message: string;
  output: string;
}

/** Lines of what failed that are shown: the rest is in the log. */
const SHOWN = 8;

/** An error of a build (build/report.py): its message, below it the last output, `  | ` before each line. */
export function splitError(error: string): IFailure {
  const lines = error.split('\n');
  const output = lines.filter(line => line.startsWith('  | ')).map(line => line.slice(4));
  const message = lines.filter(line => !line.startsWith('  | ') && !line.startsWith('  log: '));
  return { message: message.join('\n').trim(), output: output.slice(-SHOWN).join('\n') };
}

/** `installing · 40 %` */
export function stageText(
  build: Pick<IBuild, 'phase' | 'percent' | 'state'> | undefined,
  trans: TranslationBundle
): string {
  const phase = build?.state === 'queued' ? 'waiting' : build?.phase;
  return [
    phase ? phaseLabel(phase, trans) : '',
    typeof build?.percent === 'number' ? formatPercent(build.percent) : ''
  ]
    .filter(part => part)
    .join(' · ');
}

/** The one sentence about a wait. */
export function waitText(
  wait: Wait,
  environment: IEnvironment,
  queued: number,
  trans: TranslationBundle
): string {
  const name = titleOf(environment);
  const cells =
    queued > 0
      ? ' ' +
        trans._n(
          '%1 cell waits, and runs once it is there.',
          '%1 cells wait, and run once it is there.',
          queued
        )
      : '';
  switch (wait.phase) {
    case 'held':
      return '';
    case 'consent':
      return (
        trans.__('This notebook waits for %1, which is not built before you have agreed to it.', name) + cells
      );
    case 'building':
      return trans.__('This notebook waits for %1, which is being built.', name) + cells;
    case 'starting':
      return trans.__('%1 is built. The kernel starts.', name) + cells;
    case 'failed':
      return trans.__('The build of %1 failed, so this notebook has no kernel.', name) + cells;
    case 'stopped':
      return trans.__('The build of %1 was stopped, so this notebook has no kernel.', name) + cells;
  }
}
