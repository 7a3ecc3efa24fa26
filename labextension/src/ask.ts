/** Commands of the palette are about nothing in particular: here the user is asked what they are to be about. */
import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import * as environments from './environments';
import * as images from './images';
import type { IContainersModel } from './model';
import type * as rest from './rest';
import { whenTold } from './told';
import { chooseItem } from './widgets/choice';

type Args = ReadonlyPartialJSONObject;

/** What commands ask with. */
export interface IAsker {
  model: IContainersModel;
  trans: TranslationBundle;
}

/** The environment that *args* tell, else the one that the user chooses; undefined: none. */
export async function pickEnvironment(
  { model, trans }: IAsker,
  args: Args,
  fits: (item: rest.IEnvironment) => boolean = () => true
): Promise<rest.IEnvironment | undefined> {
  await whenTold(model);
  if (typeof args.environment === 'string' && !model.environments.has(args.environment)) {
    return model.fetch(args.environment); // it has just come
  }
  const items = environments.sorted(model.environments).filter(fits);
  return pick(
    args.environment,
    model.environments,
    items,
    environments.titleOf,
    trans.__('Which environment?'),
    trans
  );
}

export async function pickContainer(
  { model, trans }: IAsker,
  args: Args
): Promise<rest.IContainer | undefined> {
  await whenTold(model);
  const items = [...model.containers.values()].filter(item => item.status === 'running');
  return pick(
    args.container,
    model.containers,
    items,
    item => `${item.image_name} (${item.name})`,
    trans.__('Which container?'),
    trans
  );
}

export async function pickImage({ model, trans }: IAsker, args: Args): Promise<rest.IImage | undefined> {
  await whenTold(model);
  const items = images.sorted(model.images);
  return pick(args.image, model.images, items, images.titleOf, trans.__('Which image?'), trans);
}

/** The build that *args* tell by its id, or by its environment: the one under way, or the last one. */
export async function pickBuild(asker: IAsker, args: Args): Promise<rest.IBuild | undefined> {
  const { model, trans } = asker;
  await whenTold(model);
  if (typeof args.environment === 'string') {
    const id = model.environments.get(args.environment)?.build_id ?? '';
    return model.builds.get(id) ?? (id ? model.api.findBuild(id) : undefined);
  }
  const items = [...model.builds.values()].sort((a, b) => b.id.localeCompare(a.id));
  if (typeof args.build === 'string' && !model.builds.has(args.build)) {
    return model.api.findBuild(args.build); // it has just begun, or is an old one
  }
  return pick(
    args.build,
    model.builds,
    items,
    item => `${item.environment} (${item.id})`,
    trans.__('Which build?'),
    trans
  );
}

async function pick<T>(
  given: unknown,
  known: ReadonlyMap<string, T>,
  items: readonly T[],
  label: (item: T) => string,
  title: string,
  trans: TranslationBundle
): Promise<T | undefined> {
  if (typeof given === 'string') {
    return known.get(given);
  }
  if (items.length === 0) {
    const buttons = [Dialog.okButton({ label: trans.__('Close') })];
    await showDialog({ title, body: trans.__('There is none.'), buttons });
    return undefined;
  }
  const chosen = await chooseItem({ title, items: items.map(label) });
  return chosen === null ? undefined : items[chosen];
}
