import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import schemaFile from '../../../docs/jupyter-container.schema.json';
import type { Api } from '../api';
import type { ISpecEdit, SpecDocument } from '../rest';
import { formLook, formSchema } from '../schema';
import { changesBetween, SpecSession, withRequirement } from '../spec';

describe('changesBetween', () => {
  it.each<[string, SpecDocument, SpecDocument, ISpecEdit[]]>([
    ['a value', { name: 'a' }, { name: 'b' }, [{ key: ['name'], value: 'b' }]],
    [
      'a value in a table',
      { p: { pip: ['a'], apt: [] } },
      { p: { pip: ['a', 'b'], apt: [] } },
      [{ key: ['p', 'pip'], value: ['a', 'b'] }]
    ],
    ['a table that is new', {}, { p: { pip: ['a'], apt: [] } }, [{ key: ['p'], value: { pip: ['a'] } }]],
    ['a value that is gone', { name: 'a', python: '3' }, { name: 'a' }, [{ key: ['python'], value: null }]],
    ['a value that was emptied', { p: { pip: ['a'] } }, { p: { pip: [] } }, [{ key: ['p'], value: null }]],
    ['what was and is empty', { p: {} }, { name: '', p: { pip: [] }, mounts: [{}] }, []],
    ['nothing', { p: { pip: ['a'] }, n: false }, { n: false, p: { pip: ['a'] } }, []],
    ['false', {}, { n: false }, [{ key: ['n'], value: false }]],
    [
      'text that becomes a table',
      { base: 'x' },
      { base: { image: 'x' } },
      [{ key: ['base'], value: { image: 'x' } }]
    ]
  ])('%s', (_, before, after, changes) => {
    expect(changesBetween(before, after)).toEqual(changes);
  });
});

describe('withRequirement', () => {
  it('adds to what is there, and stands in for the same project', () => {
    const document = {
      name: 'x',
      packages: { apt: ['git'], pip: ['pandas>=2', 'Foo_Bar==1', '-r more.txt'] }
    };
    expect(withRequirement(document, 'foo-bar==2')).toEqual({
      name: 'x',
      packages: { apt: ['git'], pip: ['pandas>=2', '-r more.txt', 'foo-bar==2'] }
    });
    expect(withRequirement({}, 'six')).toEqual({ packages: { pip: ['six'] } });
  });
});

describe('SpecSession', () => {
  let checked: string[];
  let edits: ISpecEdit[][];
  let session: SpecSession;
  /** A server whose documents are JSON. */
  const api = {
    checkSpec: (text: string) => {
      checked.push(text);
      try {
        return Promise.resolve({ problems: [], document: JSON.parse(text) as SpecDocument });
      } catch {
        const problem = { file: '', line: 1, key: '', cause: 'not JSON', remedy: '' };
        return Promise.resolve({ problems: [problem], document: null });
      }
    },
    editSpec: (text: string, changes: ISpecEdit[]) => {
      edits.push(changes);
      const document = JSON.parse(text) as SpecDocument;
      for (const { key, value } of changes) {
        document[key[0]] = value!;
      }
      return Promise.resolve({ text: JSON.stringify(document) });
    }
  } as unknown as Api;

  beforeEach(async () => {
    vi.useFakeTimers();
    checked = [];
    edits = [];
    session = new SpecSession(api, '{"name":"a"}');
    await session.settle();
  });

  afterEach(() => {
    session.dispose();
    vi.useRealTimers();
  });

  it('shows the text as a document', () => {
    expect(session.document).toEqual({ name: 'a' });
    expect(session.isDirty).toBe(false);
  });

  it('checks a text when the typing stops', async () => {
    session.setText('{"name":"b');
    session.setText('{"name":"b"}');
    expect(checked).toHaveLength(1);
    await session.settle();
    expect(checked).toEqual(['{"name":"a"}', '{"name":"b"}']);
    expect(session.document).toEqual({ name: 'b' });
    expect(session.isDirty).toBe(true);
  });

  it('keeps the form while the text can not be read', async () => {
    session.setText('{"name":');
    await session.settle();
    expect(session.problems).toHaveLength(1);
    expect(session.document).toEqual({ name: 'a' });
  });

  it('writes what the form changes into the text, and only that', async () => {
    session.setDocument({ name: 'a', python: '3.13', packages: {} });
    expect(session.document.python).toBe('3.13');
    await session.settle();
    expect(edits).toEqual([[{ key: ['python'], value: '3.13' }]]);
    expect(session.text).toBe('{"name":"a","python":"3.13"}');
  });

  it('shows the text also where a form has filled in its empty fields first', async () => {
    const other = new SpecSession(api, '{"name":"b"}');
    other.setDocument({ name: '', packages: { pip: [] } });
    await other.settle();
    expect(other.document).toEqual({ name: 'b' });
    other.dispose();
  });

  it('keeps a row of the form that is still empty', async () => {
    session.setDocument({ name: 'a', mounts: [{}] });
    await session.settle();
    expect(edits).toEqual([]);
    expect(session.document).toEqual({ name: 'a', mounts: [{}] });
  });

  it('is clean again once its text is in the file', async () => {
    session.setText('{"name":"b"}');
    await session.settle();
    session.markSaved(session.text);
    expect(session.isDirty).toBe(false);
  });

  it('tells when the server does not answer, and goes on', async () => {
    const failing = { ...api, checkSpec: () => Promise.reject(new Error('away')) } as unknown as Api;
    const other = new SpecSession(failing, '{}');
    await other.settle();
    expect(other.error?.message).toBe('away');
    other.dispose();
  });
});

describe('the form of a spec', () => {
  const schema = formSchema(schemaFile);

  it('has every key of the schema, with no reference left', () => {
    expect(Object.keys(schema.properties!)).toEqual(Object.keys(schemaFile.properties));
    expect(JSON.stringify(schema)).not.toContain('$ref');
    expect(schema.properties!.packages.properties!.pip.items!.type).toBe('string');
  });

  it('fills nothing in that was not asked for', () => {
    const defaults: string[] = [];
    JSON.stringify(schema, (key: string, value: unknown) => {
      if (key === 'default') {
        defaults.push(key);
      }
      return value;
    });
    expect(defaults).toEqual([]);
  });

  it('has lists of texts as lines, and tables of texts as pairs', () => {
    const look = formLook(schema) as { [key: string]: { [key: string]: unknown } };
    expect(look.packages.pip).toEqual({ 'ui:field': 'lines' });
    expect(look.labels).toEqual({ 'ui:field': 'pairs' });
    expect(look.name).toBeUndefined();
  });

  it('takes sizes as text', () => {
    expect(schema.properties!.resources.properties!.memory.type).toBe('string');
  });
});
