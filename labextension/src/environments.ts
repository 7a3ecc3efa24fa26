/** Decisions about environments: what is said of them, what can be done with them. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { formatPercent, formatSize } from './format';
import type { EnvironmentState, IEnvironment } from './rest';
import { CommandIDs, kernelspecName } from './tokens';

/** How a state looks; it is always told in words too. */
export type Tone = 'good' | 'busy' | 'notice' | 'bad' | 'plain';

export const TONES: { readonly [S in EnvironmentState]: Tone } = {
  'not built': 'plain',
  building: 'busy',
  ready: 'good',
  'out of date': 'notice',
  broken: 'bad'
};

export function stateLabel(state: EnvironmentState, trans: TranslationBundle): string {
  switch (state) {
    case 'not built':
      return trans.__('not built');
    case 'building':
      return trans.__('building');
    case 'ready':
      return trans.__('ready');
    case 'out of date':
      return trans.__('out of date');
    case 'broken':
      return trans.__('broken');
  }
}

/** The word of a build's phase. One that this front end does not know is shown as it is. */
export function phaseLabel(phase: string, trans: TranslationBundle): string {
  const words: { [phase: string]: string } = {
    waiting: trans.__('waiting'),
    resolving: trans.__('resolving versions'),
    planning: trans.__('planning'),
    downloading: trans.__('downloading'),
    unpacking: trans.__('unpacking'),
    configuring: trans.__('configuring'),
    installing: trans.__('installing'),
    compiling: trans.__('compiling'),
    copying: trans.__('copying'),
    running: trans.__('running commands'),
    committing: trans.__('storing'),
    done: trans.__('done'),
    failed: trans.__('failed'),
    cancelled: trans.__('cancelled')
  };
  return words[phase] ?? phase;
}

/** One line: the state, and what belongs to it: the phase of a build, the size of what is built. */
export function summary(environment: IEnvironment, trans: TranslationBundle): string {
  const parts = [stateLabel(environment.state, trans)];
  if (environment.state === 'building') {
    if (environment.phase) {
      parts.push(phaseLabel(environment.phase, trans));
    }
    if (environment.percent !== null) {
      parts.push(formatPercent(environment.percent));
    }
  } else if (environment.size !== null) {
    parts.push(formatSize(environment.size));
  }
  if (environment.containers > 0) {
    parts.push(trans._n('%1 running', '%1 running', environment.containers));
  }
  return parts.join(' · ');
}

/** The one thing that a user most likely wants of an environment in this state. */
export function mainCommand(environment: IEnvironment): string {
  switch (environment.state) {
    case 'ready':
      return CommandIDs.startNotebook;
    case 'building':
      return CommandIDs.showBuildLog;
    default:
      return CommandIDs.build;
  }
}

/** All commands that make sense for an environment, in groups, as its menu has them. */
export function commandsFor(environment: IEnvironment): string[][] {
  const building = environment.state === 'building';
  const built = environment.image !== null;
  const kept = environment.spec_file !== '';
  return [
    [CommandIDs.startNotebook, CommandIDs.startWithLimits],
    building
      ? [CommandIDs.cancelBuild]
      : kept
        ? built
          ? [CommandIDs.build, CommandIDs.rebuild]
          : [CommandIDs.build]
        : [],
    environment.build_id ? [CommandIDs.showBuildLog] : [],
    kept ? [CommandIDs.addPackage, CommandIDs.removePackage] : [],
    kept ? [CommandIDs.editSpec, ...(built ? [CommandIDs.showLockDiff] : [])] : [],
    built ? [CommandIDs.saveEnvironment, CommandIDs.pushEnvironment] : [],
    [CommandIDs.deleteEnvironment]
  ].filter(group => group.length > 0);
}

/** The environment whose kernelspec has this name. */
export function findByKernel(
  environments: ReadonlyMap<string, IEnvironment>,
  kernelName: string
): IEnvironment | undefined {
  return [...environments.values()].find(item => kernelspecName(item.name) === kernelName.toLowerCase());
}

/** By the names that people see. */
export function sorted(environments: ReadonlyMap<string, IEnvironment>): IEnvironment[] {
  return [...environments.values()].sort((a, b) => ORDER.compare(titleOf(a), titleOf(b)));
}

/** `Physics 2` before `Physics 10`. */
const ORDER = new Intl.Collator(undefined, { numeric: true });

export function titleOf(environment: IEnvironment): string {
  return environment.display_name || environment.name;
}
