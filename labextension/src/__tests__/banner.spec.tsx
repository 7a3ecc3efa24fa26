import { nullTranslator } from '@jupyterlab/translation';
import React, { act } from 'react';
import { describe, expect, it, vi } from 'vitest';

import { draftOf, LimitsFields } from '../widgets/limitsform';
import { INotice, Notices } from '../widgets/banner';
import { host, show } from './page';
import { allowed } from './things';

const trans = nullTranslator.load('');
async function showNotices(notices: { [key: string]: INotice }): Promise<void> {
  await show(<Notices notices={new Map(Object.entries(notices))} onHeight={() => {}} trans={trans} />);
}

describe('messages above the cells', () => {
  it('are heard, but for what changes all the time', async () => {
    await showNotices({
      wait: { tone: 'busy', message: 'It is built.', stage: 'installing · 40 %', percent: 40, steps: [] }
    });
    const heard = host.querySelector('[role=status]')!;
    expect(heard.textContent).toBe('It is built.');
    expect(host.querySelector('[role=progressbar]')!.getAttribute('aria-valuenow')).toBe('40');
    expect(host.querySelector('[data-notice=wait]')!.textContent).toContain('installing · 40 %');
    await showNotices({
      wait: { tone: 'busy', message: 'It is built.', stage: 'installing · 41 %', percent: 41, steps: [] }
    });
    expect(host.querySelector('[role=status]')).toBe(heard); // the same, so that only a change is heard
  });

  it('of a failure are an alert, with the lines, the hint and what can be done, as text', async () => {
    const run = vi.fn();
    const steps = [{ label: 'Retry', run }];
    await showNotices({
      wait: { tone: 'bad', message: 'No.', output: '<b>gcc</b>: not found', hint: 'Add gcc.', steps }
    });
    const alert = host.querySelector('[role=alert]')!;
    expect(alert.querySelector('pre')!.textContent).toBe('<b>gcc</b>: not found');
    expect(alert.textContent).toContain('Add gcc.');
    act(() => alert.querySelector('button')!.click());
    expect(run).toHaveBeenCalledOnce();
    expect(host.querySelector('[role=status]')!.textContent).toBe('');
  });
});

describe('the fields of limits', () => {
  it('say what is allowed, what the environment has, and what is not enforced', async () => {
    const limits = allowed({ memory: 4 * 1024 ** 3, network: 'none', gpus: 0 });
    limits.unenforced = { cpus: 'no controller' };
    const draft = draftOf({});
    const onChange = vi.fn();
    await show(<LimitsFields draft={draft} allowed={limits} trans={trans} onChange={onChange} />);
    const [memory, cpus] = host.querySelectorAll('input');
    expect(memory.placeholder).toBe('2.00 GiB');
    expect(document.getElementById(memory.getAttribute('aria-describedby')!)!.textContent).toBe(
      'At most 4.00 GiB.'
    );
    expect(document.getElementById(cpus.getAttribute('aria-describedby')!)!.textContent).toContain(
      'can’t hold a kernel to it: no controller'
    );
    expect(host.textContent).not.toContain('GPUs');
    expect(host.textContent).not.toContain('What this host reaches');
    const unit = host.querySelector('select')!;
    await act(async () => {
      unit.value = 'MiB';
      unit.dispatchEvent(new Event('change', { bubbles: true }));
    });
    expect(onChange).toHaveBeenCalledWith({ ...draft, unit: 'MiB' });
  });
});
