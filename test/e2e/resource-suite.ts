import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import type { JsonAnswer, Resource, ResourceApi } from "./json-client.ts";

/** What an error is, whatever the protocol. */
export interface ErrorAnswer {
  readonly status: number;
  readonly code: number;
  readonly reason: string;
  readonly domain: string;
}

/** Reads an error of a protocol. */
export type ReadError = (answer: JsonAnswer) => ErrorAnswer & { readonly fields: readonly string[]; readonly message: string };

/** One protocol under test. */
export interface Protocol {
  api(resource: Resource): ResourceApi;
  readonly readError: ReadError;
}

const unknownId = "01900000-0000-7000-8000-000000000000";

/** The life of a resource: what both services promise, over any protocol. */
export function resourceSuite(resource: Resource, protocol: Protocol): void {
  const { one, many, domain, notFound } = resource;
  const tag = (): string => randomUUID().slice(0, 8);
  const created = async (api: ResourceApi): Promise<Record<string, unknown> & { id: string; etag: string }> => {
    const { status, body } = await api.create(resource.make(tag()));
    expect(status).toBe(200);
    return body as Record<string, unknown> & { id: string; etag: string };
  };

  test(`a ${one} is created, read, changed and deleted`, async () => {
    const api = protocol.api(resource);
    const wanted = resource.make(tag());
    const { status, body } = await api.create(wanted);
    expect(status).toBe(200);
    expect(body).toEqual({
      ...wanted,
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      createTime: expect.stringMatching(/Z$/),
      updateTime: body["createTime"],
      etag: expect.stringMatching(/./),
    });
    const id = String(body["id"]);
    expect((await api.get(id)).body).toEqual(body);

    const changed = await api.update(id, { name: "Changed", etag: body["etag"] });
    expect(changed.status).toBe(200);
    expect(changed.body).toEqual({ ...body, name: "Changed", etag: expect.anything(), updateTime: expect.anything() });
    expect(changed.body["etag"]).not.toBe(body["etag"]);
    expect((await api.get(id)).body).toEqual(changed.body);

    const removed = await api.remove(id, String(changed.body["etag"]));
    expect([removed.status, removed.body]).toEqual([200, {}]);
    const gone = { status: 404, code: 5, reason: notFound, domain };
    expect(protocol.readError(await api.get(id))).toMatchObject(gone);
    expect(protocol.readError(await api.remove(id))).toMatchObject(gone);
  });

  test(`${many} are listed a page at a time, each once`, async () => {
    const api = protocol.api(resource);
    const ids = new Set<string>();
    for (let index = 0; index < 5; index++) ids.add((await created(api)).id);
    const seen: string[] = [];
    let pages = 0;
    let pageToken = "";
    do {
      const { status, body } = await api.list({ pageSize: "2", ...(pageToken === "" ? {} : { pageToken }) });
      expect(status).toBe(200);
      const page = (body[many] ?? []) as { id: string }[];
      expect(page.length).toBeLessThanOrEqual(2);
      seen.push(...page.map(({ id }) => id));
      pageToken = (body["nextPageToken"] ?? "") as string;
      pages++;
    } while (pageToken !== "" && pages < 1_000);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((id) => ids.has(id))).toHaveLength(5);
    expect(pages).toBe(Math.ceil(seen.length / 2));
  });

  test(`${many} are read in a batch, in the order asked, all or none`, async () => {
    const api = protocol.api(resource);
    const [first, second] = [await created(api), await created(api)];
    const { status, body } = await api.batchGet([second.id, first.id]);
    expect(status).toBe(200);
    expect(body).toEqual({ [many]: [second, first] });
    const error = protocol.readError(await api.batchGet([first.id, unknownId]));
    expect(error).toMatchObject({ status: 404, code: 5, reason: notFound, domain });
    expect(error.message).toContain(unknownId);
  });

  test("an unknown id is not found, for reading, changing and deleting", async () => {
    const api = protocol.api(resource);
    for (const answer of [await api.get(unknownId), await api.update(unknownId, { name: "x" }), await api.remove(unknownId)]) {
      expect(protocol.readError(answer)).toMatchObject({ status: 404, code: 5, reason: notFound, domain });
    }
  });

  test("a stale etag is refused, and changes nothing", async () => {
    const api = protocol.api(resource);
    const { id, etag } = await created(api);
    const current = await api.update(id, { name: "Second" });
    const stale = { status: 409, code: 10, reason: "ETAG_MISMATCH", domain };
    expect(protocol.readError(await api.update(id, { name: "Third", etag }))).toMatchObject(stale);
    expect(protocol.readError(await api.remove(id, etag))).toMatchObject(stale);
    expect((await api.get(id)).body).toEqual(current.body);
  });

  test(`the same request id gives one ${one}, and another request with it is refused`, async () => {
    const api = protocol.api(resource);
    const [wanted, requestId] = [resource.make(tag()), randomUUID()];
    const answers = await Promise.all([api.create(wanted, requestId), api.create(wanted, requestId)]);
    answers.push(await api.create(wanted, requestId));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    const other = protocol.readError(await api.create(resource.make(tag()), requestId));
    expect(other).toMatchObject({ status: 409, code: 6, reason: "REQUEST_ID_REUSED", domain });
  });

  test("a page token that is not ours is refused", async () => {
    const api = protocol.api(resource);
    for (const pageToken of ["garbage", "AAAA", "é"]) {
      const error = protocol.readError(await api.list({ pageToken }));
      expect(error).toMatchObject({ status: 400, code: 3, reason: "PAGE_TOKEN_INVALID", domain });
    }
  });
}
