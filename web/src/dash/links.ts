// Links of dashboards, panels and values. A file may say anything here, so only what leads to a page
// (http, https, mail, or a path of ours) becomes a link at all.
import { root } from '../app/router';
import type { Context } from './ask';
import { fill, type Times } from './interpolate';
import type { Json } from './model';

export interface Link {
  title: string;
  url: string;
  inside: boolean; // A path of ours, without the route prefix.
  blank: boolean;
}

export function safeUrl(text: string): { url: string; inside: boolean } | null {
  const url = text.trim().replace(/[\u0000-\u001f\u007f]/g, '');
  if (/^https?:\/\/[^\s/]/i.test(url) || /^mailto:[^\s]+@/i.test(url)) return { url, inside: false };
  if (/^\/(?![/\\])/.test(url)) return { url: root !== '/' && url.startsWith(root) ? '/' + url.slice(root.length) : url, inside: true };
  if (/^(d|dashboard|explore|alerting)\/[\w-]/.test(url)) return { url: '/' + url, inside: true };
  if (/^\?[\w-]/.test(url) && typeof location !== 'undefined') return { url: '/' + location.pathname.slice(root.length) + url, inside: true };
  return null;
}

export function linksOf(list: Json, context: Context, local: Record<string, string> = {}): Link[] {
  if (!Array.isArray(list)) return [];
  const times: Times = { from: context.from, to: context.to, step: 15, interval: context.scrapeInterval };
  return list.flatMap((l: Json): Link[] => {
    if (!l || typeof l !== 'object') return [];
    const text = (v: Json): string => fill(String(v ?? ''), context.board, context.scope, times, 'text', local);
    // Fields by name or place: ${__data.fields.instance}, ${__data.fields["a b"]}.
    const raw = String(l.url ?? l.dashUri ?? '').replace(/\$\{__data\.fields(?:\.([\w]+)|\[["']?([^\]"']+)["']?\])(?:\.\w+)?(?::\w+)?\}/g, (whole, a, b) => encodeURIComponent(local[`__data.fields.${a ?? b}`] ?? whole));
    const dash = l.dashboard && !l.url && typeof l.dashUri !== 'string' ? `/dashboards?search=${encodeURIComponent(String(l.dashboard))}` : raw;
    const safe = safeUrl(text(dash));
    if (!safe) return [];
    const more: string[] = [];
    if (l.includeVars) more.push(text('${__all_variables}'));
    if (l.keepTime) more.push(text('${__url_time_range}'));
    if (l.params) more.push(text(l.params).replace(/^[?&]/, ''));
    const extra = more.filter(Boolean).join('&');
    return [{ title: text(l.title) || safe.url, url: extra === '' ? safe.url : safe.url + (safe.url.includes('?') ? '&' : '?') + extra, inside: safe.inside, blank: l.targetBlank === true }];
  });
}
