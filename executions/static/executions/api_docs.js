"use strict";

// A session of the admin may send requests from this page; requests that write need the CSRF token.
function withCsrfToken(request) {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  if (token && request.method !== "GET" && new URL(request.url, location.href).origin === location.origin) {
    request.headers["X-CSRFToken"] = token[1];
  }
  return request;
}

// Follow the theme of the admin (admin/js/theme.js keeps it), else that of the system.
const DARK = matchMedia("(prefers-color-scheme: dark)");
function showTheme() {
  const theme = localStorage.getItem("theme") ?? "auto";
  document.documentElement.classList.toggle("dark-mode", theme === "dark" || (theme === "auto" && DARK.matches));
}
showTheme();
DARK.addEventListener("change", showTheme);

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
