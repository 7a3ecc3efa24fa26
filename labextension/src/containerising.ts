/** Environments into notebooks: what the button "Containerise" does. */
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import React from 'react';

import { IAsker, pickEnvironment } from './ask';
import { broughtBy, IBrought, writeCarried } from './carried';
import { findByKernel, titleOf } from './environments';
import { formatSize, shortDigest } from './format';
import type { IContainersModel } from './model';
import { reportError } from './notices';
import type { ICarried, IEnvironment } from './rest';
import { CommandIDs } from './tokens';
import { Brought } from './widgets/carrying';
import { body } from './widgets/tables';

export interface IContainerisingOptions {
  model: IContainersModel;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

export class Containerising {
  constructor(private readonly _options: IContainerisingOptions) {}

  /** Write the environment into the notebook; where there is one, ask what is to become of it. */
  async containerise(panel: NotebookPanel): Promise<void> {
    const brought = broughtBy(panel.model);
    if (brought === null) {
      return this._write(panel, this._environmentOf(panel));
    }
    const environment = this._environmentOf(panel) ?? this._options.model.environments.get(brought.name);
    const choice = await this._choose(panel, brought, environment);
    if (choice === 'remove') {
      this.remove(panel);
    } else if (choice === 'update') {
      await this._write(panel, environment);
    }
  }

  /** Take the environment out of the notebook. */
  remove(panel: NotebookPanel): void {
    const { trans } = this._options;
    this._set(panel, null);
    Notification.success(trans.__('%1 carries no environment any more.', panel.context.localPath), {
      autoClose: 5000,
      actions: [this._save(panel)]
    });
  }

  private async _write(panel: NotebookPanel, given: IEnvironment | undefined): Promise<void> {
    const { commands, model, trans } = this._options;
    const asker: IAsker = { model, trans };
    const environment = given ?? (await pickEnvironment(asker, {}, item => item.state === 'ready'));
    if (!environment || panel.isDisposed) {
      return;
    }
    let carried: ICarried;
    try {
      carried = (await model.api.carry(environment.name)).metadata;
    } catch (error) {
      const build = {
        label: trans.__('Build'),
        callback: () => void commands.execute(CommandIDs.build, { environment: environment.name })
      };
      reportError(error, trans, environment.state === 'ready' || !environment.spec_file ? [] : [build]);
      return;
    }
    if (panel.isDisposed) {
      return;
    }
    this._set(panel, carried);
    const { digest, lock, references, spec } = carried;
    const size = formatSize(spec.length + lock.length);
    const what =
      references.length > 0
        ? trans.__('spec and lock (%1), image %2, its registry', size, shortDigest(digest))
        : trans.__('spec and lock (%1), image %2', size, shortDigest(digest));
    Notification.success(trans.__('The notebook carries %1: %2.', titleOf(environment), what), {
      autoClose: 8000,
      actions: [this._save(panel)]
    });
  }

  private async _choose(
    panel: NotebookPanel,
    brought: IBrought,
    environment: IEnvironment | undefined
  ): Promise<'update' | 'remove' | null> {
    const { trans } = this._options;
    const now = environment ? { title: titleOf(environment), image: environment.image } : null;
    const answer = await showDialog({
      title: trans.__('%1 carries its environment', panel.context.localPath.split('/').pop() ?? ''),
      body: body(React.createElement(Brought, { brought, now, trans })),
      buttons: [
        Dialog.cancelButton(),
        Dialog.warnButton({ label: trans.__('Take It Out'), actions: ['remove'] }),
        Dialog.okButton({ label: trans.__('Update') })
      ]
    });
    return !answer.button.accept ? null : answer.button.actions.includes('remove') ? 'remove' : 'update';
  }

  /** The environment that the notebook's kernel is of. */
  private _environmentOf(panel: NotebookPanel): IEnvironment | undefined {
    const kernel = panel.sessionContext.session?.kernel;
    return kernel ? findByKernel(this._options.model.environments, kernel.name) : undefined;
  }

  /** Through the notebook's model, as every other change of it: the file on disk is left to saving. */
  private _set(panel: NotebookPanel, carried: ICarried | null): void {
    if (panel.model) {
      writeCarried(panel.model, carried);
    }
  }

  private _save(panel: NotebookPanel): Notification.IAction {
    const label = this._options.trans.__('Save the Notebook');
    return { label, callback: () => void (panel.isDisposed || panel.context.save()) };
  }
}
