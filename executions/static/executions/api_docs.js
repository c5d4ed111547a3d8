"use strict";

// A session of the admin may send requests from this page; requests that write need the CSRF token.
function withCsrfToken(request) {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  if (token && request.method !== "GET" && new URL(request.url, location.href).origin === location.origin) {
    request.headers["X-CSRFToken"] = token[1];
  }
  return request;
}

SwaggerUIBundle({
  url: document.getElementById("docs").dataset.schema,
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayOperationId: true,
  displayRequestDuration: true,
  validatorUrl: null,  // else the schema would be sent to another host
  requestInterceptor: withCsrfToken,
});
