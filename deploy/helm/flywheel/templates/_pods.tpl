{{- /* Fields that every pod has. Argument: dict root account token. */}}
{{- define "flywheel.podFields" -}}
{{- $values := .root.Values }}
serviceAccountName: {{ .account | default (include "flywheel.name" .root) }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "flywheel.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Volumes of Flywheel's own programs. Argument: dict root dagster. */}}
{{- define "flywheel.volumes" -}}
{{- $values := .root.Values }}
- name: tmp
  emptyDir: {}
- name: home
  persistentVolumeClaim:
    claimName: {{ include "flywheel.homeClaim" .root }}
- name: cache
  persistentVolumeClaim:
    claimName: {{ include "flywheel.cacheClaim" .root }}
{{- with $values.workloads.configMap }}
- name: workloads
  configMap:
    name: {{ . }}
{{- end }}
{{- with $values.kafka.caSecret }}
- name: kafka-ca
  secret:
    secretName: {{ . }}
{{- end }}
{{- if .dagster }}
- name: dagster-home
  emptyDir: {}
- name: dagster
  configMap:
    name: {{ include "flywheel.name" .root }}-dagster
{{- end }}
{{- end }}

{{- define "flywheel.volumeMounts" -}}
{{- $values := .root.Values }}
- name: tmp
  mountPath: /tmp
- name: home
  mountPath: {{ include "flywheel.home" . }}
- name: cache
  mountPath: {{ include "flywheel.cache" . }}
{{- if $values.workloads.configMap }}
- name: workloads
  mountPath: /etc/flywheel/workloads
  readOnly: true
{{- end }}
{{- if $values.kafka.caSecret }}
- name: kafka-ca
  mountPath: /etc/flywheel/kafka
  readOnly: true
{{- end }}
{{- if .dagster }}
- name: dagster-home
  mountPath: {{ include "flywheel.dagsterHome" . }}
- name: dagster
  mountPath: {{ include "flywheel.dagsterHome" . }}/dagster.yaml
  subPath: dagster.yaml
  readOnly: true
- name: dagster
  mountPath: {{ include "flywheel.dagsterHome" . }}/workspace.yaml
  subPath: workspace.yaml
  readOnly: true
{{- end }}
{{- end }}

{{- /*
A container of Flywheel's image, without its list of ports and probes.
Argument: dict root name uses resources entrypoint arguments extraVariables extraMounts.
*/}}
{{- define "flywheel.container" -}}
{{- $dagster := has "dagster" .uses }}
- name: {{ .name }}
  image: {{ include "flywheel.image" (dict "root" .root "image" .root.Values.image) }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  {{- with .entrypoint }}
  command: {{ toJson . }}
  {{- end }}
  args: {{ toJson .arguments }}
  workingDir: /opt/project
  env:
    {{- include "flywheel.environment" (dict "root" .root "uses" .uses) | nindent 4 }}
    {{- with .extraVariables }}
    {{- . | nindent 4 }}
    {{- end }}
  securityContext:
    {{- include "flywheel.containerSecurity" . | nindent 4 }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  volumeMounts:
    {{- include "flywheel.volumeMounts" (dict "root" .root "dagster" $dagster) | nindent 4 }}
    {{- with .extraMounts }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /*
Makes folders of the home as Flywheel's user, before kubelet would make them as root's for a subPath.
Argument: dict root folders.
*/}}
{{- define "flywheel.makesFolders" -}}
- name: folders
  image: {{ include "flywheel.image" (dict "root" .root "image" .root.Values.image) }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command: [mkdir, --parents, --mode=0700]
  args:
    {{- $home := include "flywheel.home" . }}
    {{- range .folders }}
    - {{ $home }}/{{ . }}
    {{- end }}
  env: []
  securityContext:
    {{- include "flywheel.containerSecurity" . | nindent 4 }}
  resources:
    requests: {cpu: 50m, memory: 32Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: home, mountPath: {{ $home }}}
{{- end }}

{{- /* Probes of a program that answers HTTP. Argument: dict live ready port. */}}
{{- define "flywheel.httpProbes" -}}
startupProbe:
  httpGet: {path: {{ .live }}, port: {{ .port }}}
  periodSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: {{ .live }}, port: {{ .port }}}
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: {{ .ready }}, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- /* Argument: dict root component, and base and name where a set of pods serves one base. */}}
{{- define "flywheel.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name | default (printf "%s-%s" (include "flywheel.name" .root) .component) }}
  labels:
    {{- include "flywheel.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "flywheel.selector" . | nindent 6 }}
{{- end }}

{{- /* Argument: dict root component kind scaling metrics. */}}
{{- define "flywheel.autoscaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "flywheel.name" .root }}-{{ .component }}
  labels:
    {{- include "flywheel.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ .kind }}
    name: {{ include "flywheel.name" .root }}-{{ .component }}
  minReplicas: {{ .scaling.minReplicas }}
  maxReplicas: {{ .scaling.maxReplicas }}
  metrics:
    {{- toYaml .metrics | nindent 4 }}
{{- end }}

{{- define "flywheel.cpuMetric" -}}
- type: Resource
  resource:
    name: cpu
    target: {type: Utilization, averageUtilization: {{ . }}}
{{- end }}

{{- /* Argument: dict root component port ingress. */}}
{{- define "flywheel.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ include "flywheel.name" .root }}-{{ .component }}
  labels:
    {{- include "flywheel.labels" . | nindent 4 }}
  {{- with .ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  tls:
    - hosts: [{{ required (printf "%s.ingress.host" .component) .ingress.host }}]
      secretName: {{ required (printf "%s.ingress.tlsSecret: both speak HTTP, the Ingress brings TLS" .component) .ingress.tlsSecret }}
  rules:
    - host: {{ .ingress.host }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "flywheel.name" .root }}-{{ .component }}
                port: {number: {{ .port }}}
{{- end }}
