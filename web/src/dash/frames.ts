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
}

export const rowsOf = (frame: Frame): number => frame.fields[0]?.values.length ?? 0;
export const withFields = (frame: Frame, fields: Field[]): Frame => ({ ...frame, fields });
export const take = (frame: Frame, order: number[]): Frame => withFields(frame, frame.fields.map((f) => ({ ...f, values: order.map((i) => f.values[i]) })));

// The one label that tells all series apart, if it is the only one they have.
function onlyLabel(frames: Frame[]): string | null {
  let name: string | null = null;
  for (const frame of frames) {
    for (const field of frame.fields.filter((f) => f.labels)) {
      const names = Object.keys(field.labels!);
      if (names.length !== 1 || (name !== null && name !== names[0])) return null;
      name = names[0];
    }
  }
  return name;
}

// The name under which overrides, transformations and legends know a field.
export function nameOf(field: Field, frame: Frame, all: Frame[]): string {
  if (field.shown !== undefined) return field.shown;
  if (field.type === 'time' && !field.labels) return field.name;
  const parts: string[] = [];
  if (frame.name) parts.push(frame.name);
  if (field.name !== 'Value' && field.name !== '') parts.push(field.name);
  if (field.labels && Object.keys(field.labels).length > 0) {
    const only = onlyLabel(all);
    const text = only ? field.labels[only] : seriesLabels(field.labels);
    if (text) parts.push(text);
  }
  return parts.join(' ') || field.name;
}

function seriesLabels(labels: Record<string, string>): string {
  return `{${Object.keys(labels).sort().map((k) => `${k}="${labels[k]}"`).join(', ')}}`;
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

// Rows in the order of a column; equal ones keep theirs.
export function orderOf(values: Cell[], desc: boolean): number[] {
  const compareCells = (x: Cell, y: Cell): number => (typeof (x ?? 0) === 'number' && typeof (y ?? 0) === 'number' ? Number(x) - Number(y) : x === null ? -1 : y === null ? 1 : String(x).localeCompare(String(y), undefined, { numeric: true }));
  return values.map((_, i) => i).sort((a, b) => (desc ? -1 : 1) * compareCells(values[a], values[b]) || a - b);
}
