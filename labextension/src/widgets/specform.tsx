/** The form of a spec, made from its JSON Schema. What is wrong is the server's to say: it has the words of the CLI. */
import { FormComponent } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReadonlyJSONObject } from '@lumino/coreutils';
import type { FieldProps, FieldTemplateProps, RJSFSchema, ValidatorType } from '@rjsf/utils';
import React, { useEffect, useMemo, useState } from 'react';

import type { SpecDocument } from '../rest';
import { formLook, formSchema, ISchema, LINES, PAIRS } from '../schema';

export interface ISpecFormProps {
  schema: ISchema;
  document: SpecDocument;
  disabled: boolean;
  trans: TranslationBundle;
  onChange: (document: SpecDocument) => void;
}

export function SpecForm(props: ISpecFormProps): React.JSX.Element {
  const schema = useMemo(() => formSchema(props.schema), [props.schema]);
  const look = useMemo(() => formLook(schema), [schema]);
  return (
    <FormComponent
      className="jp-Containers-form"
      schema={schema as RJSFSchema}
      uiSchema={look}
      formData={props.document}
      disabled={props.disabled}
      validator={VALID}
      fields={FIELDS}
      templates={TEMPLATES}
      liveValidate={false}
      showErrorList={false}
      noHtml5Validate
      tagName="div"
      onChange={event => props.onChange(event.formData as unknown as SpecDocument)}
    />
  );
}

/** Finds nothing wrong. */
const VALID: ValidatorType<ReadonlyJSONObject> = {
  validateFormData: () => ({ errors: [], errorSchema: {} }),
  toErrorList: () => [],
  isValid: () => true,
  rawValidation: () => ({ errors: [] })
};

/** A label that belongs to its field, which JupyterLab's own template does not have, then what it is for. */
function Field(props: FieldTemplateProps<ReadonlyJSONObject>): React.JSX.Element {
  const { children, id, label, schema, displayLabel } = props;
  const own = props.uiSchema?.['ui:field'] !== undefined;
  if (!displayLabel && !own) {
    return <div className="jp-Containers-fields">{children}</div>;
  }
  return (
    <div className="jp-Containers-field">
      <label htmlFor={id}>{label}</label>
      {schema.description && (
        <p id={`${id}__description`} className="jp-Containers-field-help">
          {schema.description}
        </p>
      )}
      {children}
    </div>
  );
}

const TEMPLATES = { FieldTemplate: Field };

/** A list of texts: one to a line. */
function Lines(props: FieldProps<ReadonlyJSONObject>): React.JSX.Element {
  const items = (props.formData as string[] | undefined) ?? [];
  return (
    <Area
      {...props}
      text={items.join('\n')}
      parse={text => lines(text)}
      placeholder={((props.schema.items as ISchema | undefined)?.examples as string[] | undefined)?.join(
        '\n'
      )}
    />
  );
}

/** A table of texts: `NAME=value`, one to a line. */
function Pairs(props: FieldProps<ReadonlyJSONObject>): React.JSX.Element {
  const table = (props.formData as { [name: string]: string } | undefined) ?? {};
  const text = Object.entries(table)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');
  const parse = (changed: string) =>
    Object.fromEntries(
      lines(changed).map(line => {
        const [, name, value] = /^([^=]*)=?(.*)$/.exec(line)!;
        return [name.trim(), value.trim()];
      })
    );
  return <Area {...props} text={text} parse={parse} placeholder="NAME=value" />;
}

function Area(
  props: FieldProps<ReadonlyJSONObject> & {
    text: string;
    parse: (text: string) => unknown;
    placeholder?: string;
  }
): React.JSX.Element {
  // What is typed stays as it is typed, empty lines too, until the field is left.
  const [typed, setTyped] = useState<string | null>(null);
  const shown = typed ?? props.text;
  useEffect(() => setTyped(null), [props.text]);
  return (
    <textarea
      id={props.idSchema.$id}
      className="jp-Containers-area"
      aria-describedby={`${props.idSchema.$id}__description`}
      rows={Math.min(12, Math.max(2, shown.split('\n').length))}
      spellCheck={false}
      disabled={props.disabled}
      placeholder={props.placeholder}
      value={shown}
      onChange={event => {
        setTyped(event.target.value);
        // rjsf has one type for the data of the form and of its fields.
        props.onChange(props.parse(event.target.value) as ReadonlyJSONObject);
      }}
      onBlur={() => setTyped(null)}
    />
  );
}

const FIELDS = { [LINES]: Lines, [PAIRS]: Pairs };

function lines(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line);
}
