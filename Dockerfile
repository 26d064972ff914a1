# rgbtrack for clusters and for machines without Python:
#   docker build --tag rgbtrack .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/data" rgbtrack run /data/experiment.toml
# For Apptainer or Singularity: apptainer build rgbtrack.sif docker-daemon://rgbtrack:latest
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY rgbtrack rgbtrack
COPY plugins plugins
RUN python -m venv /opt/rgbtrack \
 && /opt/rgbtrack/bin/pip install --no-cache-dir '.[readers,distributed,tracks]'

FROM python:3.12-slim
COPY --from=build /opt/rgbtrack /opt/rgbtrack
# compiled code and settings of libraries are kept in the container's own /tmp: any user may write there, and
# under Apptainer, whose images are read-only, it is the only place
ENV PATH=/opt/rgbtrack/bin:$PATH NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib PYTHONUNBUFFERED=1
WORKDIR /data
ENTRYPOINT ["rgbtrack"]
CMD ["--help"]
