import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';

import { DEFAULTS, ISettings, ISettingsValues, readSettings } from '../settings';
import { IContainersSettings, NAMESPACE } from '../tokens';

/** Provides the settings at once, by default until they are loaded, and tells when they change. */
export const settingsPlugin: JupyterFrontEndPlugin<ISettings> = {
  id: `${NAMESPACE}:settings`,
  description: 'The settings of the containers extension.',
  autoStart: true,
  optional: [ISettingRegistry],
  provides: IContainersSettings,
  activate: (_: JupyterFrontEnd, registry: ISettingRegistry | null): ISettings => {
    const settings = new Settings();
    void registry
      ?.load(settingsPlugin.id)
      .then(loaded => {
        const read = () => settings.set(readSettings(loaded.composite));
        loaded.changed.connect(read);
        read();
      })
      .catch(error => console.warn('The settings of the containers extension are not loaded.', error));
    return settings;
  }
};

class Settings implements ISettings {
  get values(): ISettingsValues {
    return this._values;
  }
  get changed(): Signal<this, void> {
    return this._changed;
  }

  set(values: ISettingsValues): void {
    this._values = values;
    this._changed.emit();
  }

  private _values = DEFAULTS;
  private readonly _changed = new Signal<this, void>(this);
}
