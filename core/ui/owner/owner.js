// Keeps the visitor's secret in a cookie of this site, so that a reload of the page finds the visitor's own runs again.
// It shows nothing.
export default function ({ data }) {
  const secure = window.location.protocol === "https:" ? "; secure" : ""
  document.cookie = `${data.name}=${data.value}; path=/; max-age=${data.seconds}; samesite=strict${secure}`
  return () => {}
}
