import { worstStatus } from "../state/check-record.ts";
import type { CheckRecord } from "../state/check-record.ts";
import type { ServiceRecord } from "../state/service-record.ts";
import type { RouteTable } from "./exchange.ts";
import type { RegistryContext } from "./registry-context.ts";

const headers = {
  "Cache-Control": "no-store",
  // The page has nothing but itself: no script, no image, no frame around it.
  "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
} as const;
const style = `body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c2024;background:#fff}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #d9dde1}
th{font-weight:600}.passing{color:#0b6b2e}.warning{color:#8a5300}.critical{color:#b3151d}b[class]{font-weight:600}
small,td.meta{color:#596068}code{overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#e3e6e9;background:#16191c}th,td{border-color:#343a40}.passing{color:#5fcf86}.warning{color:#f0b354}
.critical{color:#ff8088}small,td.meta{color:#9aa3ab}}`;

/** `/`: a page for people that lists services and checks, and renews itself every 5 s. */
export function statusPage(context: RegistryContext): RouteTable {
  const toRoot = { status: 301, headers: { Location: "/" } };
  return { "/": { GET: () => ({ headers, html: render(context) }) }, "/ui/": { GET: () => toRoot } };
}

function render({ catalog, address, version }: RegistryContext): string {
  const services = [...catalog.services.values()].toSorted((a, b) => compare(a.name, b.name) || compare(a.id, b.id));
  const nodeChecks = catalog.checksOf("");
  const rows = services.map((service) => serviceRow(service, [...catalog.checksOf(service.id), ...nodeChecks.filter(isTrouble)]));
  const table =
    rows.length === 0
      ? "<p>No service is registered.</p>"
      : `<table><thead><tr><th scope="col">Service</th><th scope="col">Status</th><th scope="col">Address</th><th scope="col">Meta and tags</th><th scope="col">Checks</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">
<title>Registry: ${services.length} instances</title><style>${style}</style></head><body><h1>Registry</h1>
<p><small>Protoloom ${escapeHtml(version)} at ${escapeHtml(address())}, node ${escapeHtml(catalog.node.name)}, datacenter ${escapeHtml(catalog.node.datacenter)}; Consul's HTTP API under <code>/v1/</code></small></p>
${table}</body></html>`;
}

function serviceRow(service: ServiceRecord, checks: readonly CheckRecord[]): string {
  const status = worstStatus(checks);
  const facts = [...Object.entries(service.meta).map(([name, value]) => `${name}=${value}`), ...service.tags];
  const name = service.id === service.name ? "" : `<br><small>${escapeHtml(service.id)}</small>`;
  return `<tr><td>${escapeHtml(service.name)}${name}</td><td><b class="${status}">${status}</b></td>
<td><code>${escapeHtml(`${service.address}:${service.port}`)}</code></td><td class="meta">${facts.map(escapeHtml).join("<br>")}</td>
<td>${checks.map(checkLine).join("<br>")}</td></tr>`;
}

function checkLine({ name, status, probe, output, notes }: CheckRecord): string {
  const detail = [notes, output].filter((text) => text !== "").join("; ");
  return `<b class="${status}">${status}</b> ${escapeHtml(name)} <small>${probe.type} ${escapeHtml(detail)}</small>`;
}

function isTrouble({ status }: CheckRecord): boolean {
  return status !== "passing";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (letter) => entities[letter] ?? "");
}
