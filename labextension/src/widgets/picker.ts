/** The dialog that asks for a kernel: JupyterLab's own, with environments, their state, and the limits of the notebook. */
import { Dialog, ISessionContext, SessionContextDialogs } from '@jupyterlab/apputils';
import type { Kernel } from '@jupyterlab/services';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator } from '@jupyterlab/translation';
import { PanelLayout, Widget } from '@lumino/widgets';

import { chooseLimits } from '../choosing';
import { findByKernel } from '../environments';
import { KernelOptions, kernelOptions } from '../kernels';
import { isEmpty, readLimits } from '../limits';
import type { IMetadataHolder } from '../metadata';
import type { IContainersModel } from '../model';
import { attempt } from '../notices';
import type { ILimits, ILimitsChoice } from '../rest';
import type { ISettings } from '../settings';
import type { IBanners, IBuildsInSight } from '../tokens';
import { LimitsForm } from './limitsform';

export interface IPickerOptions {
  model: IContainersModel;
  builds: IBuildsInSight;
  banners: IBanners;
  settings: ISettings;
  localPath: (path: string) => string;
  translator: ITranslator;
  settingRegistry: ISettingRegistry | null;
}

/** What is chosen: a kernel, null for none, and limits where it is an environment's. */
interface IChoice {
  kernel: Kernel.IModel | null;
  limits: ILimitsChoice | null;
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
    const gate = builds.gate(context);
    if (gate?.expects) {
      return gate.join(); // its kernel is on its way: a cell waits for it
    }
    const lab = translator.load('jupyterlab'); // the words of JupyterLab's own dialog
    const { autoStartDefault } = context.kernelPreference;
    const asksAlways = typeof autoStartDefault === 'boolean';
    const body = new Selector(
      `${lab.__('Select kernel for:')} "${context.name}"`,
      kernelOptions(context, model.environments, translator),
      this._limits(context)
    );
    const dialog = new Dialog<IChoice>({
      title: lab.__('Select Kernel'),
      body,
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
    if (context.isDisposed || !result.button.accept || !result.value) {
      return;
    }
    if (asksAlways && result.isChecked !== null) {
      context.kernelPreference = { ...context.kernelPreference, autoStartDefault: result.isChecked };
    }
    const { kernel, limits } = result.value;
    if (kernel) {
      await this._choose(context, kernel, limits);
    } else if (!context.hasNoKernel) {
      await context.shutdown();
    } else {
      gate?.giveUp();
    }
  }

  private async _choose(
    context: ISessionContext,
    kernel: Kernel.IModel,
    limits: ILimitsChoice | null
  ): Promise<void> {
    const { builds, localPath, model, translator } = this._options;
    const notebook = this._notebook(context);
    if (limits && notebook) {
      const trans = translator.load('jupyter_containers');
      const done = await attempt(trans, async () => {
        await chooseLimits(model, localPath(context.path), notebook, limits);
        return true;
      });
      if (!done) {
        return;
      }
    }
    // A notebook's gate sees to what is not built. A console has none.
    if (!kernel.name || builds.gate(context) || (await builds.prepare(kernel.name))) {
      await context.changeKernel(kernel);
    }
  }

  private _notebook(context: ISessionContext): IMetadataHolder | null {
    return this._options.banners.panels(context)[0]?.model ?? null;
  }

  private _limits(context: ISessionContext): ILimitsSource | null {
    const { model, settings, translator } = this._options;
    const notebook = this._notebook(context);
    if (!notebook) {
      return null;
    }
    const remembered = readLimits(notebook);
    return {
      before: isEmpty(remembered) ? settings.values.defaultLimits : remembered,
      translator,
      find: async kernelName => {
        const environment = findByKernel(model.environments, kernelName);
        return environment ? model.api.limits(environment.name).catch(() => null) : null;
      }
    };
  }
}

interface ILimitsSource {
  before: ILimitsChoice;
  translator: ITranslator;
  /** What kernels of this name may have; null: they are no environment's, or it can't be told. */
  find: (kernelName: string) => Promise<ILimits | null>;
}

class Selector extends Widget {
  constructor(label: string, options: KernelOptions, limits: ILimitsSource | null) {
    super();
    const list = new Widget();
    (this.layout = new PanelLayout()).addWidget(list);
    const caption = list.node.appendChild(document.createElement('label'));
    caption.textContent = label;
    this._select = list.node.appendChild(document.createElement('select'));
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
    if (limits) {
      this._select.addEventListener('change', () => void this._showLimits(limits));
      void this._showLimits(limits);
    }
  }

  getValue(): IChoice {
    const limits = this._form && !this._details?.isHidden ? this._form.getValue() : null;
    return { kernel: this._kernel, limits };
  }

  private get _kernel(): Kernel.IModel | null {
    return JSON.parse(this._select.value || 'null') as Kernel.IModel | null;
  }

  /** Below the list: the limits, where an environment is chosen, with what that one has. */
  private async _showLimits(source: ILimitsSource): Promise<void> {
    const name = this._kernel?.name;
    const allowed = name ? await source.find(name) : null;
    if (this.isDisposed || this._kernel?.name !== name) {
      return; // another one is chosen by now
    }
    this._details?.setHidden(allowed === null);
    if (allowed && this._form) {
      this._form.allowed = allowed;
    } else if (allowed) {
      const trans = source.translator.load('jupyter_containers');
      this._form = new LimitsForm(source.before, allowed, trans);
      this._details = new Details(trans.__('Limits'), this._form, !isEmpty(source.before));
      (this.layout as PanelLayout).addWidget(this._details);
    }
  }

  private readonly _select: HTMLSelectElement;
  private _form: LimitsForm | null = null;
  private _details: Details | null = null;
}

/** What unfolds under a title. */
class Details extends Widget {
  constructor(title: string, content: LimitsForm, open: boolean) {
    const node = document.createElement('details');
    super({ node });
    node.open = content.isOpen = open;
    node.addEventListener('toggle', () => (content.isOpen = node.open));
    this.addClass('jp-Containers-limits-more');
    (this.layout = new PanelLayout()).addWidget(content);
    const summary = document.createElement('summary');
    summary.textContent = title;
    node.prepend(summary);
  }
}
