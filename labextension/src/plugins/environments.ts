import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, InputDialog, Notification, showDialog } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import {
  buildIcon,
  deleteIcon,
  downloadIcon,
  listIcon,
  notebookIcon,
  refreshIcon,
  shareIcon
} from '@jupyterlab/ui-components';
import React from 'react';

import { IAsker, pickEnvironment } from '../ask';
import { download } from '../download';
import { titleOf } from '../environments';
import { formatSize } from '../format';
import { isEmpty } from '../limits';
import { stopIcon } from '../icons';
import type { IContainersModel } from '../model';
import { attempt } from '../notices';
import type { IEnvironment, ILimitsChoice } from '../rest';
import type { ISettings } from '../settings';
import {
  CommandIDs,
  IBuildsInSight,
  IContainers,
  IContainersSettings,
  kernelspecName,
  NAMESPACE
} from '../tokens';
import { LimitsForm } from '../widgets/limitsform';
import { body, LockDiff } from '../widgets/tables';
import { addCommands, labelled } from './commands';

/** What can be done with an environment, but for its log and its spec. */
export const environmentsPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:environments`,
  description: 'Commands on environments.',
  autoStart: true,
  requires: [IContainers, IBuildsInSight, IContainersSettings],
  optional: [ITranslator, ICommandPalette, IDefaultFileBrowser],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    builds: IBuildsInSight,
    settings: ISettings,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    browser: IDefaultFileBrowser | null
  ) => {
    const { commands, serviceManager } = app;
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const asker: IAsker = { model, trans };
    const { api } = model;

    /** A new notebook, at once: where its environment is not built, the notebook tells what it waits for. */
    const startNotebook = async (
      name: string,
      cwd?: string,
      limits: ILimitsChoice = settings.values.defaultLimits
    ): Promise<unknown> => {
      const kernelName = kernelspecName(name);
      if (!serviceManager.kernelspecs.specs?.kernelspecs[kernelName]) {
        await serviceManager.kernelspecs.refreshSpecs();
      }
      const file = (await commands.execute('docmanager:new-untitled', {
        path: cwd ?? browser?.model.path ?? '',
        type: 'notebook'
      })) as { path: string } | undefined;
      if (!file) {
        return undefined;
      }
      builds.choose(file.path, { kernel: kernelName, limits });
      if (!isEmpty(limits)) {
        const path = serviceManager.contents.localPath(file.path);
        await attempt(trans, () => api.chooseLimits(path, limits));
      }
      const panel = (await commands.execute('docmanager:open', {
        path: file.path,
        factory: 'Notebook',
        kernel: { name: kernelName }
      })) as NotebookPanel | undefined;
      if (panel) {
        panel.isUntitled = true;
      }
      return panel;
    };

    const startWithLimits = async (item: IEnvironment, cwd?: string): Promise<unknown> => {
      const allowed = await attempt(trans, () => api.limits(item.name));
      if (!allowed) {
        return undefined;
      }
      const answer = await showDialog<ILimitsChoice>({
        title: trans.__('A notebook of %1', titleOf(item)),
        body: new LimitsForm(settings.values.defaultLimits, allowed, trans),
        buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Start') })]
      });
      return answer.button.accept ? startNotebook(item.name, cwd, answer.value ?? {}) : undefined;
    };

    const build = async (name: string, options: { upgrade?: boolean; no_cache?: boolean }) => {
      const started = await attempt(trans, () => api.build(name, options));
      if (started) {
        await commands.execute(CommandIDs.showBuildLog, { build: started.id });
      }
    };

    addCommands(commands, palette, trans, {
      [CommandIDs.startNotebook]: {
        label: labelled(
          'environment',
          trans.__('Start a Notebook'),
          trans.__('Start a Notebook in an Environment…')
        ),
        icon: notebookIcon,
        execute: async args => {
          const item = await pickEnvironment(asker, args);
          return item && startNotebook(item.name, args.cwd as string | undefined);
        }
      },
      [CommandIDs.startWithLimits]: {
        label: labelled(
          'environment',
          trans.__('Start a Notebook With Limits…'),
          trans.__('Start a Notebook in an Environment, With Limits…')
        ),
        caption: trans.__('Choose its memory, CPUs, GPUs and network first'),
        icon: notebookIcon,
        execute: async args => {
          const item = await pickEnvironment(asker, args);
          return item && startWithLimits(item, args.cwd as string | undefined);
        }
      },
      [CommandIDs.build]: {
        label: labelled('environment', trans.__('Build'), trans.__('Build an Environment…')),
        icon: buildIcon,
        execute: async args => {
          // One that was made a moment ago is not in the model yet.
          const given = typeof args.environment === 'string' ? args.environment : undefined;
          const fits = (each: IEnvironment) => each.spec_file !== '' && each.state !== 'building';
          const name = given ?? (await pickEnvironment(asker, args, fits))?.name;
          return name && build(name, {});
        }
      },
      [CommandIDs.rebuild]: {
        label: labelled(
          'environment',
          trans.__('Rebuild With New Versions'),
          trans.__('Rebuild an Environment With New Versions…')
        ),
        caption: trans.__('Resolve all versions anew, write them to the lock, and build'),
        icon: refreshIcon,
        execute: async args => {
          const item = await pickEnvironment(
            asker,
            args,
            each => each.spec_file !== '' && each.state !== 'building'
          );
          return item && build(item.name, { upgrade: true });
        }
      },
      [CommandIDs.cancelBuild]: {
        label: labelled('environment', trans.__('Cancel the Build'), trans.__('Cancel a Build…')),
        icon: stopIcon,
        execute: async args => {
          const item = await pickEnvironment(asker, args, each => each.state === 'building');
          return item?.build_id && attempt(trans, () => api.cancelBuild(item.build_id!));
        }
      },
      [CommandIDs.showLockDiff]: {
        label: labelled(
          'environment',
          trans.__('Compare Lock and Image'),
          trans.__('Compare the Lock of an Environment With Its Image…')
        ),
        icon: listIcon,
        execute: async args => {
          const item = await pickEnvironment(asker, args, each => each.image !== null);
          const diff = item && (await attempt(trans, () => api.lockDiff(item.name)));
          if (diff) {
            await showDialog({
              title: trans.__('Lock and image of %1', titleOf(item)),
              body: body(React.createElement(LockDiff, { diff, trans })),
              buttons: [Dialog.okButton({ label: trans.__('Close') })]
            });
          }
        }
      },
      [CommandIDs.saveEnvironment]: {
        label: labelled(
          'environment',
          trans.__('Save as an Archive'),
          trans.__('Save an Environment as an Archive…')
        ),
        caption: trans.__('Download the image as an OCI archive'),
        icon: downloadIcon,
        execute: async args => {
          const item = await pickEnvironment(asker, args, each => each.image !== null);
          if (item) {
            download(api.archiveUrl(item.name), `${item.name}.tar`);
          }
        }
      },
      [CommandIDs.pushEnvironment]: {
        label: labelled(
          'environment',
          trans.__('Push to a Registry…'),
          trans.__('Push an Environment to a Registry…')
        ),
        icon: shareIcon,
        execute: async args => {
          const item = await pickEnvironment(asker, args, each => each.image !== null);
          if (!item) {
            return;
          }
          const target = await InputDialog.getText({
            title: trans.__('Push %1', titleOf(item)),
            label: trans.__('Where to, as registry/name:tag'),
            placeholder: `registry.example.org/${item.name}:latest`,
            okLabel: trans.__('Push')
          });
          if (target.button.accept && target.value) {
            await attempt(trans, () => api.push(item.name, target.value!.trim()));
          }
        }
      },
      [CommandIDs.deleteEnvironment]: {
        label: labelled('environment', trans.__('Delete…'), trans.__('Delete an Environment…')),
        icon: deleteIcon,
        execute: async args => {
          const item = await pickEnvironment(asker, args);
          if (!item) {
            return;
          }
          const remove = (image: boolean) =>
            attempt(trans, async () => {
              await api.forget(item.name, image);
              Notification.success(trans.__('%1 is deleted.', titleOf(item)), { autoClose: 3000 });
            });
          if (!settings.values.confirmDelete) {
            await remove(item.image !== null);
            return;
          }
          const answer = await showDialog({
            title: trans.__('Delete %1?', titleOf(item)),
            body: item.spec_file
              ? trans.__('It disappears from the launcher. The file of its spec stays: %1', item.spec_file)
              : trans.__('It disappears from the launcher.'),
            checkbox: item.image
              ? {
                  label: trans.__('Remove its image too (frees %1)', formatSize(item.own_size ?? 0)),
                  checked: true
                }
              : null,
            buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Delete') })]
          });
          if (answer.button.accept) {
            await remove(answer.isChecked === true);
          }
        }
      }
    });
  }
};
