/** Commands go to the registry and, all of them, to the palette. */
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

export type CommandTable = { readonly [id: string]: CommandRegistry.ICommandOptions };

export function addCommands(
  commands: CommandRegistry,
  palette: ICommandPalette | null,
  trans: TranslationBundle,
  table: CommandTable
): void {
  for (const [command, options] of Object.entries(table)) {
    commands.addCommand(command, options);
    palette?.addItem({ command, category: trans.__('Containers') });
  }
}

/** An argument that is text, else ''. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A label that is short where the thing is given (in its row, in its menu), and long in the palette. */
export function labelled(
  argument: string,
  short: string,
  long: string
): (args: { [name: string]: unknown }) => string {
  return args => (args[argument] === undefined ? long : short);
}
