import { get } from '../api/client';

export interface AlertInstance {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  state: 'firing' | 'pending';
  activeAt: string;
  value: string;
}
export interface Rule {
  type: 'alerting' | 'recording';
  name: string;
  query: string;
  duration?: number;
  keepFiringFor?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  alerts?: AlertInstance[];
  state?: 'firing' | 'pending' | 'inactive';
  health: string;
  lastError?: string;
  evaluationTime: number;
  lastEvaluation: string;
}
export interface Group {
  name: string;
  file: string;
  interval: number;
  rules: Rule[];
  evaluationTime: number;
  lastEvaluation: string;
}

export function loadGroups(type: '' | 'alert' | 'record', signal?: AbortSignal): Promise<Group[]> {
  return get<{ groups: Group[] }>('rules', type === '' ? {} : { type }, signal).then((a) => a.data.groups);
}
