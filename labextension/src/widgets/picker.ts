/** The dialog that asks for a kernel: JupyterLab's own, with environments and their state. */
import { Dialog, ISessionContext, SessionContextDialogs } from '@jupyterlab/apputils';
import type { Kernel } from '@jupyterlab/services';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { KernelOptions, kernelOptions } from '../kernels';
import type { IContainersModel } from '../model';
import type { IBuildsInSight } from '../tokens';

export interface IPickerOptions {
  model: IContainersModel;
  builds: IBuildsInSight;
  translator: ITranslator;
  settingRegistry: ISettingRegistry | null;
}

export class KernelDialogs extends SessionContextDialogs {
  constructor(private readonly _options: IPickerOptions) {
    super({ translator: _options.translator, settingRegistry: _options.settingRegistry });
  }

  async selectKernel(context: ISessionContext): Promise<void> {
    if (context.isDisposed) {
      return;
    }
    const { builds, model, translator } = this._options;
    const lab = translator.load('jupyterlab'); // the words of JupyterLab's own dialog
    const { autoStartDefault } = context.kernelPreference;
    const asksAlways = typeof autoStartDefault === 'boolean';
    const options = kernelOptions(context, model.environments, translator);
    const dialog = new Dialog<Kernel.IModel | null>({
      title: lab.__('Select Kernel'),
      body: new Selector(`${lab.__('Select kernel for:')} "${context.name}"`, options),
      buttons: [
        Dialog.cancelButton({ label: context.hasNoKernel ? context.kernelDisplayName : lab.__('Cancel') }),
        Dialog.okButton({ label: lab.__('Select'), ariaLabel: lab.__('Select Kernel') })
      ],
      checkbox: asksAlways
        ? {
            label: lab.__('Always start the preferred kernel'),
            caption: lab.__('Remember my choice and always start the preferred kernel'),
            checked: autoStartDefault
          }
        : null
    });
    const result = await dialog.launch();
    if (context.isDisposed || !result.button.accept) {
      return;
    }
    if (asksAlways && result.isChecked !== null) {
      context.kernelPreference = { ...context.kernelPreference, autoStartDefault: result.isChecked };
    }
    const chosen = result.value;
    if (chosen) {
      if (!chosen.name || (await builds.prepare(chosen.name))) {
        await context.changeKernel(chosen);
      }
    } else if (!context.hasNoKernel) {
      await context.shutdown();
    }
  }
}

class Selector extends Widget {
  constructor(label: string, options: KernelOptions) {
    super();
    const caption = this.node.appendChild(document.createElement('label'));
    caption.textContent = label;
    this._select = this.node.appendChild(document.createElement('select'));
    this._select.disabled = options.disabled ?? false;
    this._select.setAttribute('aria-label', label);
    for (const group of options.groups) {
      const element = this._select.appendChild(document.createElement('optgroup'));
      element.label = group.label;
      for (const { selected, text, title, value } of group.options) {
        const option = new Option(text, value, selected, selected);
        option.title = title ?? '';
        element.append(option);
      }
    }
  }

  getValue(): Kernel.IModel | null {
    return JSON.parse(this._select.value) as Kernel.IModel | null;
  }

  private readonly _select: HTMLSelectElement;
}
