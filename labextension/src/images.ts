/** Decisions about images. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { formatSize, shortDigest } from './format';
import type { IImage } from './rest';

/** Its first name; an image without one is known by its digest. */
export function titleOf(image: IImage): string {
  return image.references[0] ?? shortDigest(image.digest);
}

/** `1.21 GiB · 5 layers · 34 MiB of its own` */
export function summary(image: IImage, trans: TranslationBundle): string {
  return [
    formatSize(image.size),
    trans._n('%1 layer', '%1 layers', image.layers.length),
    trans.__('%1 of its own', formatSize(image.own_size))
  ].join(' · ');
}

/** Newest first. */
export function sorted(images: ReadonlyMap<string, IImage>): IImage[] {
  return [...images.values()].sort((a, b) => b.created_at - a.created_at);
}

/** Bytes of all images together: what several have counts once. */
export function totalSize(images: Iterable<IImage>): number {
  const sizes = new Map<string, number>();
  for (const image of images) {
    for (const layer of image.layers) {
      sizes.set(layer.diff_id, layer.size);
    }
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}
