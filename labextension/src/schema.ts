/** From the JSON Schema of a spec to a form that people like to fill in. */
import type { ReadonlyJSONObject } from '@lumino/coreutils';
import type { UiSchema } from '@rjsf/utils';

/** The parts of JSON Schema that the spec's schema uses. */
export interface ISchema {
  $ref?: string;
  $defs?: { [name: string]: ISchema };
  $schema?: string;
  $id?: string;
  title?: string;
  description?: string;
  type?: string | string[];
  properties?: { [name: string]: ISchema };
  additionalProperties?: boolean | ISchema;
  items?: ISchema;
  enum?: unknown[];
  default?: unknown;
  examples?: unknown[];
  [keyword: string]: unknown;
}

export type FormLook = UiSchema<ReadonlyJSONObject>;

/** Fields of this front end, by the name that a uiSchema has for them. */
export const LINES = 'lines';
export const PAIRS = 'pairs';

/**
 * *schema* for a form. References are resolved, for each place has its own words. Defaults are left out: a form that
 * fills them in would write them into the file. A value of several types is text. Titles are the keys of the file.
 */
export function formSchema(schema: ISchema, root: ISchema = schema, title?: string): ISchema {
  const { $defs, $id, $ref, $schema, default: standard, examples, ...own } = resolve(schema, root);
  void [$defs, $id, $ref, $schema, examples];
  const made: ISchema = { ...own, title };
  if (schema === root) {
    delete made.description; // it is about the file as a whole
  }
  if (Array.isArray(made.type)) {
    made.type = 'string';
  }
  if ((typeof standard === 'string' && standard !== '') || typeof standard === 'number') {
    made.description = [made.description, `(${standard})`].filter(part => part).join(' ');
  }
  if (made.properties) {
    made.properties = Object.fromEntries(
      Object.entries(made.properties).map(([key, value]) => [key, formSchema(value, root, key)])
    );
  }
  if (made.items) {
    made.items = formSchema(made.items, root);
  }
  return made;
}

/** How the fields of a form made with {@link formSchema} look. */
export function formLook(schema: ISchema): FormLook {
  const look: FormLook = {};
  for (const [key, value] of Object.entries(schema.properties ?? {})) {
    if (value.type === 'array' && value.items?.type === 'string') {
      look[key] = { 'ui:field': LINES };
    } else if (value.type === 'object' && !value.properties) {
      look[key] = { 'ui:field': PAIRS };
    } else if (value.type === 'array' && value.items) {
      look[key] = { items: formLook(value.items) };
    } else if (value.properties) {
      look[key] = formLook(value);
    }
  }
  return look;
}

/** *schema*, or what it refers to with its own words over it. */
function resolve(schema: ISchema, root: ISchema): ISchema {
  const name = schema.$ref?.replace('#/$defs/', '');
  return name === undefined ? schema : { ...root.$defs?.[name], ...schema };
}
