/** A dialog that has one thing chosen from a list. JupyterLab's own has a list without a name, for those who don't see it. */
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';

export interface IChoiceOptions {
  title: string;
  items: readonly string[];
  /** What is said below the list. */
  note?: string;
  okLabel?: string;
}

/** The place of the chosen item in the list; null: none. */
export async function chooseItem(options: IChoiceOptions): Promise<number | null> {
  const result = await showDialog({
    title: options.title,
    body: new Choice(options),
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: options.okLabel })],
    focusNodeSelector: 'select'
  });
  return result.button.accept ? result.value : null;
}

class Choice extends Widget {
  constructor({ items, note, title }: IChoiceOptions) {
    super();
    this._select = this.node.appendChild(document.createElement('select'));
    this._select.className = 'jp-mod-styled';
    this._select.setAttribute('aria-label', title);
    this._select.append(...items.map(item => new Option(item)));
    if (note) {
      this.node.appendChild(document.createElement('p')).textContent = note;
    }
  }

  getValue(): number | null {
    return this._select.selectedIndex < 0 ? null : this._select.selectedIndex;
  }

  private readonly _select: HTMLSelectElement;
}
