/** The dialog that asks what a new environment is to be made of. */
import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import type { DraftSource } from '../api';
import type { SourceKind } from '../sources';

export interface ISourceChoice {
  /** The notebook in front, if there is one. */
  notebook: string | null;
  /** Sources of the folder that the file browser shows. */
  found: readonly { kind: SourceKind; path: string }[];
  folder: string;
}

/** What the user chose: a draft's source, or an archive to load. Null: nothing. */
export type Chosen = { draft: DraftSource } | { archive: File } | { empty: true } | null;

export async function askForSource(choice: ISourceChoice, trans: TranslationBundle): Promise<Chosen> {
  const body = new Sources(choice, trans);
  const answer = await showDialog({
    title: trans.__('New environment'),
    body,
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Continue') })],
    focusNodeSelector: 'input:checked'
  });
  return answer.button.accept ? answer.value : null;
}

class Sources extends Widget {
  constructor(
    private readonly _choice: ISourceChoice,
    trans: TranslationBundle
  ) {
    super();
    const { folder, found, notebook } = _choice;
    this.addClass('jp-Containers-sources');
    const group = this.node.appendChild(document.createElement('fieldset'));
    group.appendChild(document.createElement('legend')).textContent = trans.__('What is it to be made of?');

    if (notebook) {
      this._add(group, 'notebook', trans.__('The imports of this notebook'), text(notebook));
    }
    if (found.length > 0) {
      const files = document.createElement('select');
      files.className = 'jp-mod-styled';
      files.setAttribute('aria-label', trans.__('File'));
      found.forEach(item => files.append(new Option(item.path, item.path)));
      this._add(group, 'file', trans.__('A file of this folder'), files);
    }
    const where = folder || trans.__("the server's root folder");
    this._add(group, 'folder', trans.__('All that the folder has'), text(where));
    const reference = document.createElement('input');
    reference.className = 'jp-mod-styled';
    reference.placeholder = 'registry.example.org/name:tag';
    reference.setAttribute('aria-label', trans.__('Reference of the image'));
    this._add(group, 'image', trans.__('An image'), reference);
    const archive = document.createElement('input');
    archive.type = 'file';
    archive.setAttribute('aria-label', trans.__('Archive'));
    this._add(
      group,
      'archive',
      trans.__('An archive of images (it can be dropped on the panel too)'),
      archive
    );
    this._add(group, 'empty', trans.__('Nothing: I write the spec myself'), null);
    group.querySelector('input')!.checked = true;
  }

  getValue(): Chosen {
    const kind = this.node.querySelector<HTMLInputElement>('input[type=radio]:checked')?.value;
    const field = this._fields.get(kind ?? '');
    switch (kind) {
      case 'notebook':
        return { draft: { notebook: this._choice.notebook! } };
      case 'file': {
        const path = (field as HTMLSelectElement).value;
        const source = this._choice.found.find(item => item.path === path)!;
        return { draft: { [source.kind]: path } };
      }
      case 'folder':
        return { draft: { folder: this._choice.folder } };
      case 'image': {
        const image = (field as HTMLInputElement).value.trim();
        return image ? { draft: { image, folder: this._choice.folder } } : null;
      }
      case 'archive': {
        const file = (field as HTMLInputElement).files?.[0];
        return file ? { archive: file } : null;
      }
      default:
        return { empty: true };
    }
  }

  private _add(group: HTMLElement, kind: string, label: string, field: HTMLElement | null): void {
    const row = group.appendChild(document.createElement('div'));
    const caption = row.appendChild(document.createElement('label'));
    const radio = caption.appendChild(document.createElement('input'));
    radio.type = 'radio';
    radio.name = 'source';
    radio.value = kind;
    caption.append(label);
    if (field) {
      row.append(field);
      this._fields.set(kind, field);
      // Who fills in a field means it.
      field.addEventListener('input', () => (radio.checked = true));
      field.addEventListener('focus', () => (radio.checked = true));
    }
  }

  private readonly _fields = new Map<string, HTMLElement>();
}

function text(content: string): HTMLElement {
  const element = document.createElement('span');
  element.textContent = element.title = content;
  return element;
}
