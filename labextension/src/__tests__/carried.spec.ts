import { describe, expect, it } from 'vitest';

import { broughtBy, kernelOf, Refusals, visible, writeCarried } from '../carried';
import { IMetadataHolder, METADATA } from '../metadata';
import type { IChecked } from '../rest';
import { carried } from './things';

function notebook(value?: unknown): IMetadataHolder & { value: unknown } {
  return {
    value,
    getMetadata(key) {
      return key === METADATA ? this.value : undefined;
    },
    setMetadata(_, given) {
      this.value = given;
    },
    deleteMetadata() {
      this.value = undefined;
    }
  };
}

describe('what a notebook carries', () => {
  it('is read as the untrusted thing that it is', () => {
    expect(broughtBy(notebook(carried()))).toEqual({ name: 'thesis', digest: carried().digest, size: 17 });
    expect(broughtBy(notebook({ spec: 1, lock: ['x'] }))).toEqual({ name: '', digest: '', size: 0 });
  });

  it.each([undefined, null, 'spec', 7, [], {}, { limits: { memory: '1G' } }])('is nothing in %j', value => {
    expect(broughtBy(notebook(value))).toBeNull();
  });

  it('is written beside what else stands there, and leaves that when it goes', () => {
    const limits = { memory: '1G' };
    const model = notebook({ limits });
    writeCarried(model, carried());
    expect(model.value).toEqual({ limits, ...carried() });
    writeCarried(model, carried({ digest: 'sha256:2' }));
    expect(broughtBy(model)?.digest).toBe('sha256:2');
    writeCarried(model, null);
    expect(model.value).toEqual({ limits });
  });

  it('takes the key with it where it was alone', () => {
    const model = notebook();
    writeCarried(model, carried());
    writeCarried(model, null);
    expect(model.value).toBeUndefined();
  });
});

describe('the kernel of a notebook whose environment is here', () => {
  const kernel = (wanted: string, environment = 'thesis') =>
    kernelOf(
      { state: 'present', environment } as IChecked,
      { name: 'thesis', digest: '', size: 0 },
      wanted,
      name => ['python3', 'jc-thesis', 'jc-thesis-2', 'jc-other'].includes(name)
    );

  it('is the one that it asks for, where that is to be had', () => {
    expect([kernel('jc-thesis'), kernel('python3'), kernel('jc-other')]).toEqual([null, null, null]);
  });

  it('is that of its environment where the name is another one’s here, or no kernel’s', () => {
    expect([kernel('jc-thesis', 'thesis-2'), kernel('jc-gone'), kernel('')]).toEqual([
      'jc-thesis-2',
      'jc-thesis',
      'jc-thesis'
    ]);
    expect(kernel('jc-thesis-2', 'thesis-2')).toBeNull();
  });
});

describe('refusals', () => {
  const storage = (text: string | null = null) => ({
    text,
    getItem() {
      return this.text;
    },
    setItem(_: string, value: string) {
      this.text = value;
    }
  });

  it('hold for a notebook and an image, and outlive a reload of the page', () => {
    const kept = storage();
    new Refusals(kept).add('a.ipynb', 'sha256:1');
    const refusals = new Refusals(kept);
    expect(refusals.has('a.ipynb', 'sha256:1')).toBe(true);
    expect(refusals.has('a.ipynb', 'sha256:2') || refusals.has('b.ipynb', 'sha256:1')).toBe(false);
    refusals.remove('a.ipynb', 'sha256:1');
    expect(new Refusals(kept).has('a.ipynb', 'sha256:1')).toBe(false);
  });

  it.each(['no JSON', '{}', '[1]', 'null'])('survive what others have left: %s', text => {
    expect(new Refusals(storage(text)).has('a', 'b')).toBe(false);
  });
});

describe('the words of a stranger', () => {
  it('hide nothing, and keep their order', () => {
    expect(visible('safe \u202Egnp.exe\n\u200B')).toBe('safe \\u{202e}gnp.exe\\u{a}\\u{200b}');
    expect(visible('Über 2 € — ok')).toBe('Über 2 € — ok');
  });
});
