// node-zookeeper-client, as it comes from npm: what it sees goes to standard output as JSON.
const zookeeper = require("node-zookeeper-client");

const seen = {};
const client = zookeeper.createClient(process.argv[2], { sessionTimeout: 10000 });
const ask = (method, ...args) =>
  new Promise((resolve, reject) =>
    client[method](...args, (error, ...results) => (error ? reject(error) : resolve(results))));

client.once("connected", async () => {
  try {
    [seen.created] = await ask("create", "/npm", Buffer.from("one"));
    let told;
    const changed = new Promise((resolve) => (told = resolve));
    const [data, stat] = await ask("getData", "/npm", (event) => told(event.getName()));
    seen.data = data.toString();
    seen.version = stat.version;
    await ask("setData", "/npm", Buffer.from("two"), -1);
    seen.event = await changed;
    [seen.ephemeral] = await ask(
      "create", "/npm/e-", null, zookeeper.ACL.OPEN_ACL_UNSAFE,
      zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL);
    [seen.children] = await ask("getChildren", "/npm");
    seen.refused = await ask("create", "/npm").catch((error) => error.getName());
    const results = await new Promise((resolve, reject) =>
      client.transaction().create("/npm/t").remove("/npm/t")
        .commit((error, all) => (error ? reject(error) : resolve(all))));
    seen.transaction = results.length;
    seen.missing = (await ask("exists", "/npm/t"))[0] === null;
    await ask("remove", seen.ephemeral, -1);
    await ask("remove", "/npm", -1);
  } catch (error) {
    seen.error = String(error);
  }
  client.once("disconnected", () => {
    console.log(JSON.stringify(seen));
    process.exit(0);
  });
  client.close();
});
client.connect();
