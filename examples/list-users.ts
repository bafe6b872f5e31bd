/**
 * A program that takes part in the mesh: it finds the user service through the registry and calls it with the generated
 * client. `npx node examples/list-users.ts [URL of the registry]`
 */
import { UserService } from "@protoloom/contracts";
import { createMesh } from "@protoloom/mesh";

await using mesh = createMesh({ registryUrl: process.argv[2] ?? "http://127.0.0.1:8500" });
const users = mesh.client(UserService);

const page = await users.listUsers({ pageSize: 10 });
for (const { id, name, email } of page.users) console.log(`${id}  ${name} <${email}>`);
console.log(`${page.users.length} user(s)${page.nextPageToken === "" ? "" : ", and more"}`);
