import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { deathText } from '../deaths';
import { afterBuild, lackOf, splitError, stageText, waitText } from '../waiting';
import { build, death, environment } from './things';

const trans = nullTranslator.load('');

describe('what comes before a kernel', () => {
  it('is nothing for what is ready, and for an image without a spec', () => {
    expect(lackOf(environment())).toBe('none');
    expect(lackOf(environment({ spec_file: '', state: 'broken' }))).toBe('none');
  });

  it('is a build of what is not built, changed or broken', () => {
    for (const state of ['not built', 'out of date', 'broken'] as const) {
      expect(lackOf(environment({ state }))).toBe('build');
    }
  });

  it('is the word of the user, where it asks for more, also of what is built', () => {
    expect(lackOf(environment({ state: 'not built', asks: ['network'] }))).toBe('consent');
    expect(lackOf(environment({ state: 'ready', asks: ['network'] }))).toBe('consent');
  });

  it('is the end of the build that the user has started', () => {
    expect(lackOf(environment({ state: 'building', asks: ['network'] }))).toBe('end');
  });
});

describe('how a wait goes on after a build', () => {
  it('goes on, starts the kernel, or tells', () => {
    expect(afterBuild(build({ state: 'queued' }))).toBeNull();
    expect(afterBuild(build({ state: 'done' }))).toEqual({ phase: 'starting' });
    expect(afterBuild(build({ id: 'b', state: 'failed', error: 'no', hint: 'do' }))).toEqual({
      phase: 'failed',
      error: 'no',
      hint: 'do',
      build: 'b'
    });
    expect(afterBuild(build({ id: 'b', state: 'cancelled' }))).toEqual({ phase: 'stopped', build: 'b' });
  });
});

describe('what is said of a wait', () => {
  it('has the failing line apart, and no path of a log', () => {
    const output = [...Array(12).keys()].map(number => `  | line ${number}`);
    const error = ["step 'run: make': `make` failed with exit status 2", ...output, '  log: /x/y'].join('\n');
    expect(splitError(error)).toEqual({
      message: "step 'run: make': `make` failed with exit status 2",
      output: 'line 4\nline 5\nline 6\nline 7\nline 8\nline 9\nline 10\nline 11'
    });
    expect(splitError('no such package')).toEqual({ message: 'no such package', output: '' });
  });

  it('tells the phase and how far it is', () => {
    expect(stageText(build({ phase: 'installing', percent: 40 }), trans)).toBe('installing · 40 %');
    expect(stageText(build({ state: 'queued', phase: null, percent: null }), trans)).toBe('waiting');
    expect(stageText(undefined, trans)).toBe('');
  });

  it('names what it waits for, and the cells that wait', () => {
    const wait = { phase: 'building', build: null } as const;
    expect(waitText(wait, environment(), 0, trans)).toBe(
      'This notebook waits for Physics 1, which is being built.'
    );
    expect(waitText(wait, environment(), 2, trans)).toContain('2 cells wait');
  });
});

describe('what is said of a death', () => {
  it('has the limit and the peak', () => {
    expect(deathText(death({ memory_limit: 256 * 1024 ** 2, memory_peak: 255.9 * 1024 ** 2 }), trans)).toBe(
      'The kernel was killed for memory, and its variables are lost: its limit is 256 MiB, and at its peak it had 256 MiB.'
    );
    expect(deathText(death({ memory_limit: 1024 ** 3, memory_peak: null }), trans)).toContain('1.00 GiB.');
  });

  it('is what the server says, where it was not for memory', () => {
    const message = 'the kernel has died: it was ended by signal 11 (SIGSEGV)';
    expect(deathText(death({ oom: false, message }), trans)).toBe(
      'The kernel has died, and its variables are lost. It was ended by signal 11 (SIGSEGV).'
    );
  });
});
