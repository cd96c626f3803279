// What queries answer, as Grafana's frames: columns of equal length with labels and names.
import { pairs, seriesName } from '../format/labels';
import type { Json } from './model';
import type { Cell } from './reduce';
export type { Cell } from './reduce';

export interface Field {
  name: string;
  type: 'time' | 'number' | 'string' | 'boolean';
  values: Cell[];
  labels?: Record<string, string>;
  shown?: string; // The name that the query's legend gives it, or a transformation.
  config?: Json; // What a transformation knows about it: unit, min, thresholds.
}

export interface Frame {
  refId: string;
  name?: string;
  fields: Field[];
  open?: boolean; // The rows of its groups are shown at once.
  bare?: boolean; // Inside a cell: without a head.
}

// A cell that holds frames: a series in one row of a table, or the rows of a group. Where a value is wanted it
// is its value, so that it can be sorted, calculated with and mapped.
export class Held {
  constructor(readonly value: number, readonly frames: Frame[]) {}
  valueOf(): number {
    return this.value;
  }
  toString(): string {
    return Number.isNaN(this.value) ? '' : String(this.value);
  }
}
export const held = (value: number, frames: Frame[]): Cell => new Held(value, frames) as unknown as Cell;
export const heldIn = (cell: unknown): Held | null => (cell instanceof Held ? cell : null);
// The column of a table whose cells hold the rows of their group.
export const NESTED = '__nestedFrames';

export const rowsOf = (frame: Frame): number => frame.fields[0]?.values.length ?? 0;
export const withFields = (frame: Frame, fields: Field[]): Frame => ({ ...frame, fields });
export const take = (frame: Frame, order: number[]): Frame => withFields(frame, frame.fields.map((f) => ({ ...f, values: order.map((i) => f.values[i]) })));

// What the names of fields depend on besides the field: the one label that tells all series apart, if it is
// the only one they have, and whether frames have names of their own.
interface Names {
  only: string | null;
  differ: boolean;
}
const known = new WeakMap<Frame[], Names>();

function namesIn(all: Frame[]): Names {
  const cached = known.get(all);
  if (cached) return cached;
  const labels = new Set<string>();
  for (const frame of all) for (const field of frame.fields) for (const label of Object.keys(field.labels ?? {})) labels.add(label);
  const made = { only: labels.size === 1 ? [...labels][0] : null, differ: all.some((frame, i) => i > 0 && frame.name !== all[i - 1].name) };
  known.set(all, made);
  return made;
}

// The name under which overrides, transformations and legends know a field.
export function nameOf(field: Field, frame: Frame, all: Frame[]): string {
  if (field.shown !== undefined) return field.shown;
  if (field.type === 'time' && !field.labels) return field.name || 'Time';
  const { only, differ } = namesIn(all);
  const parts: string[] = [];
  if (differ && frame.name) parts.push(frame.name);
  if (field.name !== 'Value' && field.name !== '') parts.push(field.name);
  const labels = !field.labels ? '' : only !== null ? (field.labels[only] ?? '') : seriesLabels(field.labels);
  if (labels !== '') parts.push(labels);
  else if (!differ && field.name === 'Value' && frame.name) parts.push(frame.name);
  const name = parts.join(' ') || field.name || 'Value';
  return name === field.name ? apart(field, frame) : name;
}

// Fields of one name are told apart by a number.
function apart(field: Field, frame: Frame): string {
  const same = frame.fields.filter((f) => f.name === field.name);
  return same.length > 1 ? `${field.name} ${same.indexOf(field) + 1}` : field.name;
}

function seriesLabels(labels: Record<string, string>): string {
  const names = Object.keys(labels).sort();
  return names.length === 0 ? '' : `{${names.map((k) => `${k}="${labels[k]}"`).join(', ')}}`;
}

export function find(frame: Frame, name: string, all: Frame[]): Field | undefined {
  return frame.fields.find((f) => nameOf(f, frame, all) === name) ?? frame.fields.find((f) => f.name === name);
}

// A query's legend: fixed text with {{label}}, Grafana's "auto", or the series itself.
export function legendOf(format: string, metric: Record<string, string>, expr: string): string | undefined {
  if (format === '__auto') return Object.keys(metric).length > 0 ? undefined : expr;
  if (format !== '') return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, name) => metric[name] ?? '');
  return pairs(metric).length === 0 && !metric.__name__ ? expr : seriesName(metric);
}

const words = new Intl.Collator('en', { sensitivity: 'base' });
const counted = new Intl.Collator('en', { sensitivity: 'base', numeric: true });

// Rows in the order of a column; equal ones keep theirs. Text that is missing comes last, with `numeric`
// "disk10" after "disk9".
export function orderOf(values: Cell[], desc: boolean, numeric = false): number[] {
  const text = values.some((v) => typeof v === 'string');
  const collator = numeric ? counted : words;
  const compareCells = (x: Cell, y: Cell): number => (!text ? Number(x ?? 0) - Number(y ?? 0) : !x || !y ? Number(!x) - Number(!y) : collator.compare(String(x), String(y)));
  return values.map((_, i) => i).sort((a, b) => (desc ? compareCells(values[b], values[a]) : compareCells(values[a], values[b])) || a - b);
}
