/** A box that finds packages of the Python index, and their versions. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React, { useEffect, useId, useState } from 'react';

import { Api, ApiError, asApiError } from '../api';
import { attempt } from '../notices';
import type { IPackage } from '../rest';

const CALM = 300;

export interface IPackageSearchProps {
  api: Api;
  trans: TranslationBundle;
  /** A requirement, such as `polars>=1.2`, was chosen. */
  onAdd: (requirement: string) => void;
}

export function PackageSearch(props: IPackageSearchProps): React.JSX.Element {
  const { api, onAdd, trans } = props;
  const [query, setQuery] = useState('');
  const [found, setFound] = useState<readonly IPackage[] | null>(null);
  const [complete, setComplete] = useState(true);
  const [error, setError] = useState<ApiError | null>(null);
  const [active, setActive] = useState(-1);
  const [chosen, setChosen] = useState<string | null>(null);
  const id = useId();

  useEffect(() => {
    setFound(null);
    setActive(-1);
    if (query.trim().length < 2) {
      return;
    }
    let wanted = true;
    const timer = setTimeout(async () => {
      try {
        const answer = await api.searchPackages(query.trim());
        if (wanted) {
          setFound(answer.items);
          setComplete(answer.complete);
          setError(null);
        }
      } catch (reason) {
        if (wanted) {
          setError(asApiError(reason));
        }
      }
    }, CALM);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [api, query]);

  const choose = (name: string) => {
    setChosen(name);
    setQuery('');
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    const last = (found?.length ?? 0) - 1;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      setActive(Math.min(last, Math.max(0, active + (event.key === 'ArrowDown' ? 1 : -1))));
    } else if (event.key === 'Enter' && found && found.length > 0) {
      event.preventDefault();
      choose(found[Math.max(0, active)].name);
    } else if (event.key === 'Escape') {
      setQuery('');
    }
  };

  return (
    <div className="jp-Containers-search">
      <label htmlFor={`${id}-box`}>{trans.__('Add a Python package')}</label>
      <input
        id={`${id}-box`}
        className="jp-mod-styled"
        type="search"
        role="combobox"
        autoComplete="off"
        spellCheck={false}
        placeholder={trans.__('Name of a package')}
        aria-expanded={found !== null}
        aria-controls={`${id}-list`}
        aria-activedescendant={active >= 0 ? `${id}-${active}` : undefined}
        value={query}
        onChange={event => setQuery(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <ul
        id={`${id}-list`}
        role="listbox"
        aria-label={trans.__('Packages')}
        className="jp-Containers-found"
        hidden={!found}
      >
        {found?.map((item, index) => (
          <li
            key={item.name}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === active}
            title={item.summary}
            onMouseDown={event => event.preventDefault()}
            onClick={() => choose(item.name)}
          >
            <span className="jp-Containers-found-name">{item.name}</span>
            <span className="jp-Containers-found-version">{item.version}</span>
            {item.summary && <span className="jp-Containers-found-summary">{item.summary}</span>}
          </li>
        ))}
      </ul>
      <p role="status" className="jp-Containers-field-help">
        {error
          ? [error.message, error.hint].filter(part => part).join(' — ')
          : found?.length === 0
            ? trans.__('No package of this name.')
            : ''}
      </p>
      {!complete && (
        <button
          type="button"
          className="jp-mod-styled jp-Containers-step"
          title={trans.__('Fetches the list of its names, about 40 MB, once')}
          onClick={() => void attempt(trans, () => api.fetchPackageNames()).then(() => setComplete(true))}
        >
          {trans.__('Search the whole index')}
        </button>
      )}
      {chosen && (
        <Versions
          key={chosen}
          api={api}
          name={chosen}
          trans={trans}
          onAdd={requirement => {
            setChosen(null);
            onAdd(requirement);
          }}
          onCancel={() => setChosen(null)}
        />
      )}
    </div>
  );
}

function Versions(props: IPackageSearchProps & { name: string; onCancel: () => void }): React.JSX.Element {
  const { api, name, onAdd, onCancel, trans } = props;
  const [versions, setVersions] = useState<readonly string[]>([]);
  const [bound, setBound] = useState('');
  const id = useId();
  useEffect(() => {
    api.packageVersions(name).then(
      answer => setVersions(answer.versions),
      () => setVersions([]) // any version can still be added
    );
  }, [api, name]);
  return (
    <div className="jp-Containers-versions">
      <label htmlFor={id}>{trans.__('Version of %1', name)}</label>
      <select
        id={id}
        className="jp-mod-styled"
        value={bound}
        onChange={event => setBound(event.target.value)}
        autoFocus
      >
        <option value="">{trans.__('the newest that fits')}</option>
        {versions.slice(0, 1).map(version => (
          <option key={version} value={`>=${version}`}>
            {trans.__('%1 or newer', version)}
          </option>
        ))}
        {versions.map(version => (
          <option key={version} value={`==${version}`}>
            {version}
          </option>
        ))}
      </select>
      <button
        type="button"
        className="jp-mod-styled jp-mod-accept jp-Containers-step"
        onClick={() => onAdd(name + bound)}
      >
        {trans.__('Add')}
      </button>
      <button type="button" className="jp-mod-styled jp-Containers-step" onClick={onCancel}>
        {trans.__('Cancel')}
      </button>
    </div>
  );
}
