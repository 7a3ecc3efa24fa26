/** The settings, as `schema/settings.json` describes them. */
import type { ISignal } from '@lumino/signaling';

import { cleanLimits } from './limits';
import type { ILimitsChoice } from './rest';

export interface ISettingsValues {
  /** Show the item in the status bar. */
  statusBar: boolean;
  /** Draw the lines of what running containers use. */
  sparklines: boolean;
  /** Ask before every build that a choice leads to, also where it takes no more than packages in a sandbox. */
  confirmBuilds: boolean;
  /** Ask before an environment is deleted. */
  confirmDelete: boolean;
  /** Open the log of a build beside the notebook that waits for it. */
  showLog: boolean;
  /** Wrap long lines of logs. */
  wrapLogs: boolean;
  /** Limits of notebooks that are started here. */
  defaultLimits: ILimitsChoice;
}

export const DEFAULTS: ISettingsValues = {
  statusBar: true,
  sparklines: true,
  confirmBuilds: false,
  confirmDelete: true,
  showLog: true,
  wrapLogs: true,
  defaultLimits: {}
};

export interface ISettings {
  readonly values: ISettingsValues;
  readonly changed: ISignal<ISettings, void>;
}

/** What the user has set; what is missing, or is of another kind, is as by default. */
export function readSettings(composite: { readonly [key: string]: unknown }): ISettingsValues {
  const values: ISettingsValues = { ...DEFAULTS, defaultLimits: cleanLimits(composite.defaultLimits) };
  for (const [key, value] of Object.entries(DEFAULTS)) {
    if (typeof value === 'boolean' && typeof composite[key] === 'boolean') {
      (values as unknown as { [key: string]: unknown })[key] = composite[key];
    }
  }
  return values;
}
