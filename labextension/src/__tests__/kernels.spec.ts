import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { groupOptions, KernelOptions } from '../kernels';
import { environment } from './things';

const OPTIONS: KernelOptions = {
  groups: [
    {
      label: 'Start Python Kernel',
      options: [
        { text: 'Physics 1 (container)', value: '{"name":"jc-physics-1"}', selected: true },
        { text: 'Python 3', value: '{"name":"python3"}' }
      ]
    },
    { label: 'Start Kernel', options: [{ text: 'Slow (container)', value: '{"name":"jc-slow"}' }] },
    { label: 'Use No Kernel', options: [{ text: 'No Kernel', value: 'null' }] },
    { label: 'Connect', options: [{ text: 'a.ipynb', value: '{"id":"1"}' }] }
  ]
};

describe('groupOptions', () => {
  const known = new Map(
    [environment(), environment({ name: 'slow', display_name: '', state: 'not built', size: null })].map(
      item => [item.name, item]
    )
  );

  it('puts environments first, with their state, and leaves the others as they are', () => {
    const { groups } = groupOptions(OPTIONS, known, nullTranslator);
    expect(groups.map(group => [group.label, ...group.options.map(option => option.text)])).toEqual([
      ['Start in an Environment', 'Physics 1 — ready · 200 MiB', 'slow — not built'],
      ['Start Python Kernel', 'Python 3'],
      ['Use No Kernel', 'No Kernel'],
      ['Connect', 'a.ipynb']
    ]);
    expect(groups[0].options[0]).toMatchObject({ value: '{"name":"jc-physics-1"}', selected: true });
  });

  it('changes nothing where there is none', () => {
    expect(groupOptions(OPTIONS, new Map(), nullTranslator)).toEqual(OPTIONS);
  });
});
