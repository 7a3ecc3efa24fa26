/** The tabs of specs: which file each is of, and how its text gets there. */
import { CommandToolbarButton, Dialog, showDialog, WidgetTracker } from '@jupyterlab/apputils';
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IEditorServices } from '@jupyterlab/codeeditor';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';

import { asApiError } from '../api';
import { containerIcon } from '../icons';
import type { IContainersModel } from '../model';
import { attempt, reportError } from '../notices';
import { showTab } from '../places';
import type { ISpecDraft, ISpecFile } from '../rest';
import type { ISchema } from '../schema';
import { SpecSession } from '../spec';
import { CommandIDs, NAMESPACE } from '../tokens';
import { SpecEditor, SpecTab } from './speceditor';

/** Where the text of a tab goes: into the spec of an environment, or, for a new one, into a folder ('': the program's). */
type Target = { environment: string; version: string } | { folder: string };

export interface ISpecTabsOptions {
  app: JupyterFrontEnd;
  model: IContainersModel;
  editorServices: IEditorServices;
  trans: TranslationBundle;
}

export class SpecTabs {
  constructor(private readonly _options: ISpecTabsOptions) {}

  readonly tracker = new WidgetTracker<SpecTab>({ namespace: `${NAMESPACE}-specs` });

  /** The environment of a tab; '': it has none yet. */
  nameOf(tab: SpecTab): string {
    const target = this._targets.get(tab);
    return target && 'environment' in target ? target.environment : '';
  }

  /** The tab of a draft, which nothing was written of yet. */
  async openDraft(draft: ISpecDraft): Promise<SpecTab> {
    const { trans } = this._options;
    const place = draft.folder ? `${draft.folder}/jupyter-container.toml` : '';
    const where = place
      ? trans.__('It will be written to %1', place)
      : trans.__('It will be kept by the program itself');
    return this._open({
      title: trans.__('New environment'),
      text: draft.text,
      target: { folder: draft.folder },
      folder: draft.folder || undefined,
      notes: [where, ...draft.notes],
      found: draft.found
    });
  }

  /** The tab of an environment's spec; undefined: the spec could not be read, and why was told. */
  async openSpec(name: string, title: string): Promise<SpecTab | undefined> {
    const { app, model, trans } = this._options;
    const open = this.tracker.find(tab => this.nameOf(tab) === name);
    if (open) {
      showTab(app.shell, open);
      return open;
    }
    const spec = await attempt(trans, () => model.api.spec(name));
    return (
      spec &&
      this._open({
        title: trans.__('Spec of %1', title),
        caption: spec.path,
        text: spec.text,
        target: { environment: name, version: spec.version },
        folder: spec.path.slice(0, spec.path.lastIndexOf('/')), // PathExt.dirname makes paths relative
        readOnly: spec.editable ? '' : spec.reason
      })
    );
  }

  /** Write the tab's text into its file. The environment's name; undefined: it was not written, and why was told. */
  async save(tab: SpecTab): Promise<string | undefined> {
    const { session } = tab.content;
    await session.settle();
    const { text } = session;
    const target = this._targets.get(tab)!;
    const spec =
      'folder' in target ? await this._create(tab, text, target.folder) : await this._write(target, text);
    if (spec) {
      this._targets.set(tab, spec);
      session.markSaved(text);
      void this.tracker.save(tab);
    }
    return spec?.environment;
  }

  private async _create(tab: SpecTab, text: string, folder: string) {
    const { model, trans } = this._options;
    return attempt(trans, async () => {
      const made = await model.api.createFromText(text, folder || undefined);
      const spec = await model.api.spec(made.name);
      tab.title.label = trans.__('Spec of %1', made.display_name || made.name);
      tab.title.caption = spec.path;
      return { environment: made.name, version: spec.version };
    });
  }

  private async _write(target: { environment: string; version: string }, text: string) {
    const { api } = this._options.model;
    const { trans } = this._options;
    const { environment } = target;
    let written: ISpecFile | undefined;
    try {
      written = await api.writeSpec(environment, text, target.version);
    } catch (error) {
      if (asApiError(error).status !== 409) {
        reportError(error, trans);
        return undefined;
      }
      const answer = await showDialog({
        title: trans.__('The file has changed meanwhile'),
        body: trans.__(
          'Something else has written to it since it was opened here. Overwrite it with this text?'
        ),
        buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Overwrite') })]
      });
      if (answer.button.accept) {
        written = await attempt(trans, async () =>
          api.writeSpec(environment, text, (await api.spec(environment)).version)
        );
      }
    }
    return written && { environment, version: written.version };
  }

  private async _open(options: {
    title: string;
    text: string;
    target: Target;
    caption?: string;
    folder?: string;
    readOnly?: string;
    notes?: readonly string[];
    found?: readonly string[];
  }): Promise<SpecTab> {
    const { app, editorServices, model, trans } = this._options;
    const { api } = model;
    this._schema ??= api.schema();
    const schema = await this._schema;
    const { found = [], notes = [], readOnly = '' } = options;
    const session = new SpecSession(api, options.text, options.folder);
    const content = new SpecEditor({ session, schema, api, editorServices, trans, readOnly, notes, found });
    const tab = new SpecTab(content, trans);
    tab.id = `${NAMESPACE}-spec-${UUID.uuid4()}`;
    tab.title.label = options.title;
    tab.title.caption = options.caption ?? options.title;
    tab.title.icon = containerIcon;
    for (const id of [CommandIDs.saveSpec, CommandIDs.buildSpec]) {
      tab.toolbar.addItem(
        id,
        new CommandToolbarButton({ commands: app.commands, id, args: { toolbar: true } })
      );
    }
    this._targets.set(tab, options.target);
    tab.disposed.connect(() => this._targets.delete(tab));
    await this.tracker.add(tab);
    showTab(app.shell, tab);
    return tab;
  }

  private readonly _targets = new Map<SpecTab, Target>();
  private _schema: Promise<ISchema> | null = null;
}
