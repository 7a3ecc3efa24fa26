import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, InputDialog, Notification, showDialog } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { clearIcon, deleteIcon, downloadIcon, fileUploadIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { IAsker, pickImage } from '../ask';
import { formatSize } from '../format';
import { layersIcon } from '../icons';
import { titleOf } from '../images';
import type { IContainersModel } from '../model';
import { attempt } from '../notices';
import { CommandIDs, IContainers, NAMESPACE } from '../tokens';
import { body, History, Prune } from '../widgets/tables';
import { addCommands, labelled } from './commands';

/** What can be done with images and with the store. */
export const imagesPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:images`,
  description: 'Commands on images.',
  autoStart: true,
  requires: [IContainers],
  optional: [ITranslator, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const asker: IAsker = { model, trans };
    const { api } = model;
    addCommands(app.commands, palette, trans, {
      [CommandIDs.showHistory]: {
        label: labelled('image', trans.__('Show the History'), trans.__('Show the History of an Image…')),
        icon: layersIcon,
        execute: async args => {
          const item = await pickImage(asker, args);
          const layers = item && (await attempt(trans, () => api.history(item.digest)));
          if (layers) {
            await showDialog({
              title: trans.__('History of %1', titleOf(item)),
              body: body(React.createElement(History, { layers, trans })),
              buttons: [Dialog.okButton({ label: trans.__('Close') })]
            });
          }
        }
      },
      [CommandIDs.removeImage]: {
        label: labelled('image', trans.__('Remove…'), trans.__('Remove an Image…')),
        icon: deleteIcon,
        execute: async args => {
          const item = await pickImage(asker, args);
          if (!item) {
            return;
          }
          const answer = await showDialog({
            title: trans.__('Remove %1?', titleOf(item)),
            body:
              item.environments.length > 0
                ? trans.__('Environments that are built again then: %1', item.environments.join(', '))
                : trans.__('This frees %1.', formatSize(item.own_size)),
            buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Remove') })]
          });
          if (answer.button.accept) {
            await attempt(trans, () => api.removeImage(item.digest));
          }
        }
      },
      [CommandIDs.pullImage]: {
        label: trans.__('Pull an Image…'),
        caption: trans.__('Fetch an image from a registry'),
        icon: downloadIcon,
        execute: async args => {
          const given = args.reference as string | undefined;
          const reference =
            given ??
            (
              await InputDialog.getText({
                title: trans.__('Pull an image'),
                label: trans.__('Reference, as registry/name:tag'),
                placeholder: 'docker.io/library/debian:trixie',
                okLabel: trans.__('Pull')
              })
            ).value;
          return reference ? attempt(trans, () => api.pull(reference.trim())) : undefined;
        }
      },
      [CommandIDs.loadArchive]: {
        label: trans.__('Load Images From an Archive…'),
        caption: trans.__('Take in the images of an OCI or docker archive'),
        icon: fileUploadIcon,
        execute: async () => {
          const file = await chooseFile('.tar,.tar.gz,.tgz,.tar.zst,.oci');
          return file ? attempt(trans, () => api.load(file)) : undefined;
        }
      },
      [CommandIDs.prune]: {
        label: trans.__('Remove What Is Not in Use…'),
        caption: trans.__('Show what could be removed from the store, and ask'),
        icon: clearIcon,
        execute: async () => {
          const preview = await attempt(trans, () => api.prune(true));
          if (!preview) {
            return;
          }
          const some = preview.removed.length > 0;
          const answer = await showDialog({
            title: trans.__('Remove what is not in use'),
            body: body(React.createElement(Prune, { pruned: preview, trans })),
            buttons: some
              ? [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Remove') })]
              : [Dialog.cancelButton({ label: trans.__('Close') })]
          });
          const done =
            some && answer.button.accept ? await attempt(trans, () => api.prune(false)) : undefined;
          if (done) {
            Notification.success(trans.__('%1 freed.', formatSize(done.freed)), { autoClose: 5000 });
          }
        }
      }
    });
  }
};

/** The file that the user chooses; null: none. */
function chooseFile(accept: string): Promise<File | null> {
  return new Promise(resolve => {
    const input = document.createElement('input');
    input.type = 'file';
    input.accept = accept;
    input.addEventListener('change', () => resolve(input.files?.[0] ?? null));
    input.addEventListener('cancel', () => resolve(null));
    input.click();
  });
}
