"use strict";
// The key stays in this tab's memory: it is sent to this origin's API and kept nowhere.
(function () {
  let key = "";
  const show = function () {
    window.SwaggerUIBundle({
      url: new URL("openapi.json", document.baseURI).href,
      dom_id: "#docs",
      presets: [window.SwaggerUIBundle.presets.apis],
      layout: "BaseLayout",
      validatorUrl: null,
      deepLinking: true,
      tryItOutEnabled: true,
      requestInterceptor: function (request) {
        if (key && new URL(request.url, document.baseURI).origin === window.location.origin) {
          request.headers.apikey = key;
          if (!request.headers.Authorization) request.headers.Authorization = "Bearer " + key;
        }
        return request;
      },
    });
  };
  document.getElementById("key-form").addEventListener("submit", function (event) {
    event.preventDefault();
    key = document.getElementById("key").value.trim();
    show();
  });
  show();
})();
