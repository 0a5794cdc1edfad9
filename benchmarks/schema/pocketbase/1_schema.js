/// The collections of mbaas.toml beside this folder as PocketBase spells them: same fields, rules and indexes.
/// Its request log is off and its batch API on; every other setting is its default.
migrate((app) => {
  const settings = app.settings();
  settings.logs.maxDays = 0;
  settings.batch.enabled = true;
  settings.batch.maxRequests = 1000;
  settings.batch.timeout = 120;
  app.save(settings);

  const users = app.findCollectionByNameOrId("users");
  for (const [name, readable] of [["posts", ""], ["private_posts", "author = @request.auth.id"]]) {
    app.save(new Collection({
      type: "base",
      name,
      listRule: readable,
      viewRule: readable,
      createRule: "author = @request.auth.id",
      updateRule: "author = @request.auth.id",
      deleteRule: "author = @request.auth.id",
      fields: [
        { name: "author", type: "relation", collectionId: users.id, required: true, cascadeDelete: true, maxSelect: 1 },
        { name: "title", type: "text", required: true, max: 200 },
        { name: "body", type: "text", max: 10000 },
        { name: "tags", type: "json" },
        { name: "published", type: "bool" },
        { name: "created_at", type: "autodate", onCreate: true },
        { name: "updated_at", type: "autodate", onCreate: true, onUpdate: true },
      ],
      indexes: [`create index ${name}_author_created_at on ${name} (author, created_at desc)`],
    }));
  }
});
